import { expect, test } from 'vitest'
import { cedarSchema } from './cedar-schema.ts'
import { createCheck } from './check.ts'

const checkPolicies = createCheck(cedarSchema(['audit', 'keys']))
const check = (text: string) => checkPolicies([{ name: 'rules.cedar', text }])
const lookOf = (text: string) => check(text).rules[0]?.look

test('rules are named by their @id or by where they stand, with their note', () => {
  const { rules, findings } = check(`// the first
@id("no-night-work")
@note("nobody deploys at night")
forbid(principal, action, resource);

permit(principal in Group::"support", action, resource); // ";" in a comment; and "here"
permit(principal, action == Action::"call", resource) when { resource.name == "a;b" };`)

  expect(findings).toEqual([])
  expect(rules.map(({ id, effect, note }) => [id, effect, note])).toEqual([
    ['no-night-work', 'forbid', 'nobody deploys at night'],
    ['rules.cedar:6', 'permit', null],
    ['rules.cedar:7', 'permit', null],
  ])
})

test.each<[what: string, text: string, line: number, words: RegExp]>([
  ['a typing error', 'permit(principal, action, resource)\nwhen { resource. };', 2, /unexpected token/],
  [
    'an attribute that is not there',
    'permit(principal, action, resource)\nwhen { resource.nme == "x" };',
    2,
    /`nme`.*did you mean `name`/,
  ],
  ['a type that is not there', '\n\npermit(principal == Usr::"a", action, resource);', 3, /`Usr`; did you mean `User`/],
  [
    'a claim that was not asked for first',
    'permit(principal, action, resource)\nwhen {\nprincipal.getTag("x").contains("y") };',
    3,
    /tag/,
  ],
  [
    'an id twice',
    '@id("a") permit(principal, action, resource);\n@id("a") forbid(principal, action, resource);',
    2,
    /"a" is taken/,
  ],
  ['an id that looks like a grant', '@id("grant_1")\npermit(principal, action, resource);', 1, /"grant_1" is taken/],
  ['a template', 'permit(principal == ?principal, action, resource);', 1, /template|slot/],
])('%s is found, with its line, and nothing is in force by it', (_, text, line, words) => {
  const { rules, findings } = check(text)

  expect(rules).toEqual([])
  expect(findings).toContainEqual({
    level: 'error',
    source: 'rules.cedar',
    line,
    message: expect.stringMatching(words),
  })
})

test.each<[text: string, look: object]>([
  [
    'permit(principal, action, resource);',
    { subjects: new Set(), context: new Set(), readsPrincipal: false, namesList: false },
  ],
  [
    'permit(principal in Group::"a", action, resource) when { principal != User::"b" };',
    { subjects: new Set(['Group::"a"', 'User::"b"']), readsPrincipal: false },
  ],
  [
    'permit(principal, action, resource) when { principal in [Group::"a", Group::"b"] };',
    { subjects: new Set(['Group::"a"', 'Group::"b"']), readsPrincipal: false },
  ],
  [
    'permit(principal is User in Group::"a", action, resource);',
    { subjects: new Set(['Group::"a"']), readsPrincipal: false },
  ],
  ['permit(principal, action, resource) when { principal.kind == "person" };', { readsPrincipal: true }],
  ['permit(principal, action, resource) when { principal.hasTag("a") };', { readsPrincipal: true }],
  [
    'forbid(principal, action, resource) when { context.face == "rest" };',
    { context: new Set(['face']), readsPrincipal: false },
  ],
  ['forbid(principal, action, resource) unless { context has address };', { context: new Set(['address']) }],
  ['forbid(principal, action, resource) when { context.args.hasTag("a") };', { context: new Set(['args']) }],
  [
    'permit(principal, action == Action::"list", resource in Gateway::"demo");',
    { namesList: true, gateways: new Set(['demo']) },
  ],
])('what a rule looks at is read from it: %s', (text, look) => {
  expect(lookOf(text)).toMatchObject(look)
})

test.each<[string, string]>([
  [
    'a line that ends with a carriage return',
    '// not eve\r@id("f") forbid(principal == User::"eve", action, resource);',
  ],
  ['one of Windows', '// not eve\r\n@id("f") forbid(principal == User::"eve", action, resource);'],
])('a comment on %s hides no rule behind it', (_, text) => {
  const { rules, findings } = check(`@id("p") permit(principal, action, resource);\r\n${text}`)

  expect(findings).toEqual([])
  expect(rules.map(({ id }) => id)).toEqual(['p', 'f'])
})

test('a long list of terms is a rule like any other', () => {
  const terms = Array.from({ length: 1_000 }, (_item, at) => `context.client == "c${at}"`).join(' || ')
  const { rules, findings } = check(`forbid(principal, action, resource) when { ${terms} };`)

  expect(findings).toEqual([])
  expect([...(rules[0]?.look.context ?? [])]).toEqual(['client'])
})

test.each<[string, string]>([
  ['brackets', `${'('.repeat(200)}true${')'.repeat(200)}`],
  ['choices', `${'if context.client == "x" then false else '.repeat(100)}true`],
])('%s that are nested too deep are a mistake, and the next text is read as before', (_, condition) => {
  const { rules, findings } = check(`forbid(principal, action, resource) when { ${condition} };`)

  expect(rules).toEqual([])
  expect(findings).toMatchObject([{ level: 'error', line: 1, message: expect.stringContaining('nested too deep') }])
  expect(check('permit(principal, action, resource);').rules).toHaveLength(1)
})
