import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Json, JsonObject } from '#kernel'
import { compileRules } from './compile.ts'
import { FORMATS } from './formats.ts'
import { contentRule, type ContentRuleInput } from './schema.ts'
import { screen } from './screen.ts'

const ajv = new Ajv2020({ strict: false, formats: FORMATS })

function redact(value: JsonObject, schema: JsonObject, rule: Partial<ContentRuleInput>) {
  const parsed = contentRule.parse({ name: 'r', effect: 'redact', ...rule })
  const rules = compileRules([{ ref: { name: 'r', id: 'crule_1', version: '1' }, rule: parsed }])
  return screen({ kind: 'result', value: { content: [], structuredContent: value }, schema }, rules, () => 'tok_x')
}

/** A schema of an object with this one member. */
const one = (member: JsonObject, required = true): JsonObject => ({
  type: 'object',
  properties: { a: member, other: { type: 'string' } },
  ...(required ? { required: ['a'] } : {}),
  additionalProperties: false,
})

const SSN = '219-09-9999'

describe('a changed value fits its schema', () => {
  test.each<[string, JsonObject, Json, Json]>([
    ['a plain text', { type: 'string' }, `my ${SSN}`, 'my [redacted]'],
    ['a pattern', { type: 'string', pattern: String.raw`^\d{3}-\d{2}-\d{4}$` }, SSN, '000-00-0000'],
    ['a longest length', { type: 'string', maxLength: 11 }, SSN, '[redacted]'],
    ['a short longest length', { type: 'string', maxLength: 9 }, '219099999', '[redacted'],
    ['a shortest length', { type: 'string', minLength: 11 }, SSN, '[redacted]*'],
    ['an enumeration', { type: 'string', enum: [SSN, 'none', 'unknown'] }, SSN, 'none'],
    ['a whole number', { type: 'integer' }, 219099999, 0],
    ['a smallest number', { type: 'integer', minimum: 100000000 }, 219099999, 100000000],
    ['an excluded bound', { type: 'integer', exclusiveMinimum: 5 }, 219099999, 6],
    ['a number that must differ from zero', { type: 'integer', not: { const: 0 } }, 219099999, 1],
    ['one of several', { anyOf: [{ type: 'string', pattern: '^[0-9-]*$' }, { type: 'null' }] }, SSN, '000-00-0000'],
    ['a reference', { $ref: '#/$defs/s' }, SSN, '000-00-0000'],
  ])('%s', (_, member, value, expected) => {
    const schema = { ...one(member), $defs: { s: { type: 'string', pattern: '^[0-9-]{11}$' } } }

    const screened = redact({ a: value }, schema, { detect: ['ssn', 'ssn-bare'] })

    expect(screened.value['structuredContent']).toEqual({ a: expected })
    expect(ajv.validate(schema, screened.value['structuredContent'])).toBe(true)
  })

  test.each([
    ['email', 'ann@example.org', 'redacted@redacted.invalid', { detect: ['email'] }],
    ['uri', 'https://x.example/?k=AKIAIOSFODNN7EXAMPLE', 'https://x.example/?k=XXXX', { detect: ['aws-key'] }],
    ['date', '1999-09-09', '0000-00-00', { path: '$.a', pattern: '1999' }],
    ['date-time', '1999-09-09T10:00:00Z', '', { path: '$.a', pattern: '1999' }],
    ['uuid', '21909999-0000-4000-8000-000000000000', '', { path: '$.a', pattern: '21909999' }],
    ['ipv4', '10.20.30.40', '', { path: '$.a', pattern: '10.20' }],
    ['hostname', 'db1.internal', '', { path: '$.a', pattern: 'db1' }],
  ] as const)('the format %s', (format, value, _, rule) => {
    const schema = one({ type: 'string', format })

    const screened = redact({ a: value }, schema, rule as Partial<ContentRuleInput>)

    expect(screened.outcome).toBe('changed')
    expect(ajv.validate(schema, screened.value['structuredContent'])).toBe(true)
    expect(JSON.stringify(screened.value)).not.toContain(value)
  })

  test('a member that cannot be masked is left out where it may be', () => {
    const schema = one({ const: SSN }, false)

    expect(redact({ a: SSN, other: 'b' }, schema, { detect: ['ssn'] }).value['structuredContent']).toEqual({
      other: 'b',
    })
  })

  test('where it may not be, the result is withheld', () => {
    expect(redact({ a: SSN }, one({ const: SSN }), { detect: ['ssn'] })).toMatchObject({
      outcome: 'withheld',
      by: { name: 'r' },
      value: {},
    })
  })

  test('a required field that is taken away whole becomes a value of its type', () => {
    const schema = one({ type: 'array', items: { type: 'string' } })

    expect(redact({ a: ['x'] }, schema, { path: '$.a' }).value['structuredContent']).toEqual({ a: [] })
  })

  test('a result that was not valid before is changed all the same', () => {
    expect(redact({ a: SSN }, one({ type: 'integer' }), { detect: ['ssn'] }).value['structuredContent']).toEqual({
      a: '[redacted]',
    })
  })

  test('a pattern of the server that would take for ever to check is checked at once', () => {
    const schema = one({ type: 'string', pattern: '^(a+)+b?$' })

    // With backtracking, 2^40 steps for each thing that is tried.
    expect(redact({ a: `${'a'.repeat(40)}b` }, schema, { pattern: 'b' })).toMatchObject({ outcome: 'withheld' })
  })
})

// Any schema of this family, with a value that fits, in which there may be numbers that are to go.
const text = fc.oneof(fc.constant(SSN), fc.constant(`x ${SSN} y`), fc.string({ maxLength: 12 }))
const member = fc.oneof(
  fc.record({ schema: fc.constant({ type: 'string' }), value: text }),
  fc.record({ schema: fc.constant({ type: 'string', pattern: '^[0-9-]+$' }), value: fc.constant(SSN) }),
  fc.record({ schema: fc.constant({ type: 'string', minLength: 11, maxLength: 11 }), value: fc.constant(SSN) }),
  fc.record({ schema: fc.constant({ enum: [SSN, 'none'] }), value: fc.constantFrom<Json>(SSN, 'none') }),
  fc.record({ schema: fc.constant({ const: SSN }), value: fc.constant<Json>(SSN) }),
  fc.record({ schema: fc.constant({ type: 'integer', minimum: 3 }), value: fc.constantFrom<Json>(219099999, 7) }),
  fc.record({
    schema: fc.constant({ type: 'array', items: { type: 'string', maxLength: 14 }, minItems: 1 }),
    value: fc.constantFrom<Json>([SSN], ['a', SSN], ['b']),
  }),
  fc.record({ schema: fc.constant({ type: ['string', 'null'] }), value: fc.constantFrom<Json>(null, SSN) }),
)

test('whatever is redacted, the result is valid or withheld, and nothing of what was to go is in it', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), member),
      fc.subarray(['a', 'b', 'c', 'd']),
      (members, required) => {
        const names = Object.keys(members)
        const schema: JsonObject = {
          type: 'object',
          properties: Object.fromEntries(names.map((name) => [name, members[name]?.schema ?? {}])),
          required: required.filter((name) => names.includes(name)),
          additionalProperties: false,
        }
        const value: JsonObject = Object.fromEntries(names.map((name) => [name, members[name]?.value ?? null]))
        fc.pre(ajv.validate(schema, value) === true)

        const screened = redact(value, schema, { detect: ['ssn', 'ssn-bare'] })

        if (screened.outcome === 'withheld') return true
        const after = screened.value['structuredContent']
        return ajv.validate(schema, after) === true && !/219-?09-?9999/.test(JSON.stringify(after))
      },
    ),
    { numRuns: 300 },
  )
})
