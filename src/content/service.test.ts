import { describe, expect, test } from 'vitest'
import type { Json, JsonObject } from '#kernel'
import { forEachEngine } from '../storage/testing.ts'
import type { Content } from './index.ts'
import { contentRule, type ContentRuleInput } from './schema.ts'
import type { Subject } from './scope.ts'
import { mostCharsFor } from './screening.ts'
import { compileRules } from './compile.ts'
import { ACTOR, ALICE, openTestContent } from './testing.ts'

const rule = (input: ContentRuleInput) => contentRule.parse(input)
const NO_SSN: ContentRuleInput = { name: 'no-ssn', detect: ['ssn'], effect: 'redact' }
const params = (value: JsonObject) => ({ kind: 'params', value: { name: 't', arguments: value } }) as const

async function argumentsAfter(
  content: Content,
  value: JsonObject,
  subject: Subject = ALICE,
): Promise<Json | undefined> {
  return (await content.screen('input', subject, params(value))).value['arguments']
}

forEachEngine((engine) => {
  test('a saved rule holds at once, its changes are versions, and all of it is recorded', async () => {
    await using room = await openTestContent(engine)
    const { content, audit } = room

    const first = await content.saveRule(rule(NO_SSN), ACTOR)
    const second = await content.saveRule(rule({ ...NO_SSN, with: '###' }), ACTOR)
    const after = await argumentsAfter(content, { a: '219-09-9999' })
    await content.removeRule('no-ssn', ACTOR)

    expect(first).toMatchObject({ version: '1', origin: 'api' })
    expect(second).toMatchObject({ id: first.id, version: '2', with: '###' })
    expect(after).toEqual({ a: '###' })
    expect(content.listRules()).toEqual([])
    expect(await content.saveRule(rule(NO_SSN), ACTOR)).toMatchObject({ version: '1' })
    const { records } = await audit.search({})
    const changes = records.filter(({ what }) => what.startsWith('content-rule.')).map(({ what }) => what)
    expect(changes).toEqual(['content-rule.saved', 'content-rule.removed', 'content-rule.saved', 'content-rule.saved'])
  })

  test('another replica has the rule within a second, and a new one reads it', async () => {
    await using room = await openTestContent(engine)
    const other = await room.openReplica()

    await room.content.saveRule(rule(NO_SSN), ACTOR)
    await expect.poll(() => other.listRules().length, { timeout: 2_000 }).toBe(1)
    const late = await room.openReplica()

    expect(other.showRule('no-ssn')).toEqual(room.content.showRule('no-ssn'))
    expect(late.showRule('no-ssn')).toEqual(room.content.showRule('no-ssn'))
  })

  test('a server that is given the tag of a rule is looked at from then on', async () => {
    await using room = await openTestContent(engine)
    const tagged = (tags: readonly string[]): Subject => ({ ...ALICE, server: { ...ALICE.server, tags } })
    await room.content.saveRule(rule({ ...NO_SSN, tools: ['tag:secret'] }), ACTOR)

    const before = await argumentsAfter(room.content, { a: '219-09-9999' }, tagged([]))
    const after = await argumentsAfter(room.content, { a: '219-09-9999' }, tagged(['secret']))
    const again = await argumentsAfter(room.content, { a: '219-09-9999' }, tagged([]))

    expect([before, after, again]).toEqual([{ a: '219-09-9999' }, { a: '[redacted]' }, { a: '219-09-9999' }])
  })

  test('a rule of the file wins over a stored one of its name, and cannot be changed here', async () => {
    await using room = await openTestContent(engine, [{ ...NO_SSN, with: 'file' }])
    const { content } = room

    await expect(content.saveRule(rule(NO_SSN), ACTOR)).rejects.toMatchObject({
      kind: { code: 'content/rule-in-file' },
    })
    await expect(content.removeRule('no-ssn', ACTOR)).rejects.toMatchObject({ kind: { code: 'content/rule-in-file' } })
    const declared = content.showRule('no-ssn')
    content.declare([rule({ ...NO_SSN, with: 'other' })])

    expect(declared).toMatchObject({ id: 'file:no-ssn', origin: 'file' })
    expect(content.showRule('no-ssn').version).not.toBe(declared.version)
    expect(await argumentsAfter(content, { a: '219-09-9999' })).toEqual({ a: 'other' })
  })
})

describe('scope', () => {
  test.each<[string, Partial<ContentRuleInput>, boolean]>([
    ['nothing said', {}, true],
    ['its gateway', { gateways: ['demo'] }, true],
    ['another gateway', { gateways: ['other'] }, false],
    ['its tool', { tools: ['crm/get_customer'] }, true],
    ['a pattern of its tool', { tools: ['*/get_*'] }, true],
    ['its server’s tag', { tools: ['tag:sales'] }, true],
    ['another tool', { tools: ['crm/list'] }, false],
    ['another server', { tools: ['files/*'] }, false],
    ['its user', { users: ['alice@example.com'] }, true],
    ['another user', { users: ['bob@example.com'] }, false],
    ['its group', { groups: ['support'] }, true],
    ['another group, but its user', { groups: ['sales'], users: ['alice@example.com'] }, true],
    ['another group', { groups: ['sales'] }, false],
    ['the other direction', { phase: 'output' }, false],
    ['switched off', { enabled: false }, false],
  ])('a rule with %s', async (_, scope, isConcerned) => {
    await using room = await openTestContent('sqlite', [{ ...NO_SSN, ...scope }])

    expect(room.content.concerns('input', ALICE)).toBe(isConcerned)
  })

  test('what belongs to no tool that is known is looked at by every rule for the server', async () => {
    await using room = await openTestContent('sqlite', [{ ...NO_SSN, tools: ['crm/other'] }])

    expect(room.content.concerns('output', { ...ALICE, thing: null })).toBe(true)
    expect(room.content.concerns('output', { ...ALICE, thing: null, server: { name: 'files', tags: [] } })).toBe(false)
  })
})

describe('tokens', () => {
  const RULE: ContentRuleInput = {
    name: 'cards',
    phase: 'output',
    detect: ['card'],
    effect: 'tokenise',
    tools: ['crm/*'],
    reveal_to: ['pay/*'],
  }
  const CARD = '4111111111111111'
  const pay = { ...ALICE, server: { name: 'pay', tags: [] }, thing: 'charge' }

  async function tokenOf(content: Content): Promise<string> {
    const message = { kind: 'result', value: { content: [{ type: 'text', text: `card ${CARD}` }] } } as const
    const { value } = await content.screen('output', ALICE, message)
    return /tok_[\w-]+/.exec(JSON.stringify(value))?.[0] ?? ''
  }

  test('the same user’s later input has the value again, at the tools that may have it', async () => {
    await using room = await openTestContent('sqlite', [RULE])
    const token = await tokenOf(room.content)

    const revealed = room.content.reveal(pay, { arguments: { number: token, text: `pay with ${token}.` } })

    expect(token).toMatch(/^tok_/)
    expect(token).toBe(await tokenOf(room.content))
    expect(revealed).toEqual({ arguments: { number: CARD, text: `pay with ${CARD}.` } })
  })

  test.each<[string, Subject]>([
    ['another user', { ...pay, user: { userId: 'bob@example.com', groups: [] } }],
    ['a tool that may not have it', { ...ALICE, server: { name: 'web', tags: [] }, thing: 'post' }],
    ['the tool it came from, when others are named', ALICE],
  ])('%s gets the token', async (_, subject) => {
    await using room = await openTestContent('sqlite', [RULE])
    const sent = { arguments: { number: await tokenOf(room.content) } }

    expect(room.content.reveal(subject, sent)).toEqual(sent)
  })

  test('a token that was changed, or whose rule is gone, stays a token', async () => {
    await using room = await openTestContent('sqlite', [RULE])
    const token = await tokenOf(room.content)
    const bent = `${token.slice(0, -2)}${token.endsWith('AA') ? 'BB' : 'AA'}`

    expect(room.content.reveal(pay, { a: bent })).toEqual({ a: bent })
    room.content.declare([])
    expect(room.content.reveal(pay, { a: token })).toEqual({ a: token })
  })
})

describe('a large message', () => {
  const BIG = 5 * 1024 * 1024
  const lorem = 'Lorem ipsum dolor sit amet, consectetur 12-34. '.repeat(Math.ceil(BIG / 47)).slice(0, BIG)

  test('is looked through elsewhere, with the same result', async () => {
    await using room = await openTestContent('sqlite', [NO_SSN])

    const looked = room.content.screen('input', ALICE, params({ a: `${lorem} 219-09-9999` }))

    expect(looked).toBeInstanceOf(Promise)
    expect((await looked).outcome).toBe('changed')
    expect(JSON.stringify((await looked).value).endsWith(' [redacted]"}}')).toBe(true)
  })

  test('in which nothing is found is the very same object', async () => {
    await using room = await openTestContent('sqlite', [NO_SSN])
    const message = params({ a: lorem })

    expect((await room.content.screen('input', ALICE, message)).value).toBe(message.value)
  })

  test('is not parsed here when it comes as bytes', async () => {
    await using room = await openTestContent('sqlite', [NO_SSN])
    const bytes = Buffer.from(JSON.stringify({ content: [{ type: 'text', text: `${lorem} 219-09-9999` }] }))
    const value = (): never => {
      throw new Error('it was parsed')
    }

    const screened = await room.content.screenResult(ALICE, { isParsed: false, bytes: () => bytes, value })

    expect(screened.outcome).toBe('changed')
    expect(Buffer.from(screened.bytes ?? []).includes('219-09-9999')).toBe(false)
  })
})

// What is counted is the work, not the time: `bench/content.ts` measures what a unit of it takes.
test.each<[string, Partial<ContentRuleInput>, number]>([
  ['one detector', { detect: ['ssn'] }, 90_000],
  ['all detectors', { detect: ['card', 'ssn', 'iban', 'email', 'phone', 'secrets'] }, 18_000],
  ['a small pattern', { pattern: 'falcon' }, 130_000],
  ['nested repeats', { pattern: '(a+)+$' }, 130_000],
  ['the largest pattern there may be', { pattern: '(?:a?){300}(?:b?){300}x' }, 1_500],
])('with %s the event loop looks through at most so many characters', (_, match, most) => {
  const parsed = rule({ name: 'r', effect: 'redact', ...match })

  const chars = mostCharsFor(compileRules([{ ref: { name: 'r', id: 'r', version: '1' }, rule: parsed }]))

  expect(chars).toBeLessThan(most * 1.2)
  expect(chars).toBeGreaterThan(most * 0.5)
})
