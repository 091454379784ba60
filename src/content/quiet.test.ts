import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Json, JsonObject } from '#kernel'
import { compileRules } from './compile.ts'
import { arePlain, isQuiet } from './quiet.ts'
import { contentRule, type ContentRuleInput } from './schema.ts'
import { screen, type Message } from './screen.ts'

const compile = (...rules: Omit<ContentRuleInput, 'name'>[]) =>
  compileRules(
    rules.map((rule, at) => {
      const parsed = contentRule.parse({ name: `rule-${at}`, ...rule })
      return { ref: { name: parsed.name, id: `crule_${at}`, version: '1' }, rule: parsed }
    }),
  )

const PLAIN = compile(
  { detect: ['ssn', 'card'], effect: 'block' },
  { detect: ['secrets'], effect: 'redact', decode_base64: true },
  { pattern: '(?i)project\\s+falcon', effect: 'replace', with: 'the project' },
  { pattern: 'text|arguments', effect: 'truncate', max_chars: 10, phase: 'output' },
)

/** What rules look for, in the places and spellings in which it might be missed. */
const finds = [
  '123-45-6789',
  '１２３-４５-６７８９',
  '4111 1111 1111 1111',
  'Project  Falcon',
  'project\u200b falcon',
  'text',
  'arguments',
  Buffer.from('ghp_0123456789abcdefghijABCDEFGHIJ012345').toString('base64'),
  'ghp_0123456789abcdefghijABCDEFGHIJ012345',
]
const word = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('type', 'role', 'content', 'data', 'blob', 'mimeType', 'name', 'a', '__proto__'),
  },
  { weight: 3, arbitrary: fc.string({ maxLength: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom(...finds) },
)
const text = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('user', 'image/png', 'hello', '', 'YWJj') },
  { weight: 4, arbitrary: fc.string({ maxLength: 20, unit: 'grapheme' }) },
  { weight: 1, arbitrary: fc.constantFrom(...finds) },
)
const leaf = fc.oneof(text, fc.integer(), fc.constant(4111111111111111), fc.boolean(), fc.constant(null))
const value = fc.letrec<{ any: Json }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', maxDepth: 5 },
    leaf,
    fc.array(tie('any'), { maxLength: 3 }),
    fc.dictionary(word, tie('any'), { maxKeys: 3 }),
  ),
})).any
const message = fc.record({
  kind: fc.constantFrom<Message['kind']>('params', 'answers', 'result', 'error', 'notification', 'questions'),
  value: fc.dictionary(
    fc.oneof(fc.constantFrom('arguments', 'content', 'structuredContent', 'message', 'data', 'name'), word),
    value,
    { maxKeys: 4 },
  ),
})

test('where nothing is found by the quick look, the rules do nothing either', () => {
  let quiet = 0
  fc.assert(
    fc.property(message, ({ kind, value: said }) => {
      const parsed: JsonObject = JSON.parse(JSON.stringify(said))
      if (!isQuiet(PLAIN, parsed, 1_000_000)) return
      quiet += 1
      const screened = screen({ kind, value: parsed }, PLAIN, () => 'tok')
      expect(screened).toEqual({ outcome: 'passes', by: null, value: parsed, applied: [] })
    }),
    { numRuns: 3_000 },
  )
  expect(quiet).toBeGreaterThan(300)
})

test('what the rules would find, the quick look finds, in every place', () => {
  const places: ((found: string) => JsonObject)[] = [
    (found) => ({ arguments: { a: found } }),
    (found) => ({ arguments: { [found]: 1 } }),
    (found) => ({
      content: [
        { type: 'text', text: 'x' },
        { type: found, text: 'y' },
      ],
    }),
    (found) => ({ content: [{ type: 'text', text: 'hello' }], structuredContent: { deep: [[{ a: found }]] } }),
    (found) => ({ content: [{ type: 'resource', resource: { blob: Buffer.from(found).toString('base64') } }] }),
  ]
  const missed = places.flatMap((place) => finds.filter((found) => isQuiet(PLAIN, place(found), 1_000_000)))

  expect(missed).toEqual([])
})

test('the look ends where it would take too long, and too deep', () => {
  const deep = JSON.parse(`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`)

  expect([isQuiet(PLAIN, { a: 'x'.repeat(100) }, 50), isQuiet(PLAIN, { a: 'x' }, 50)]).toEqual([false, true])
  expect(isQuiet(PLAIN, deep, 1_000_000)).toBe(false)
})

test.each<[string, Omit<ContentRuleInput, 'name'>]>([
  ['a path', { path: '$.a', effect: 'redact' }],
  ['a size', { larger_than: 10, effect: 'block' }],
  ['nothing that is looked for', { effect: 'approve', phase: 'input' }],
  ['a length', { effect: 'truncate', max_chars: 4, phase: 'output' }],
])('a rule with %s is no plain one', (_what, rule) => {
  expect([arePlain(compile(rule)), arePlain(PLAIN)]).toEqual([false, true])
})
