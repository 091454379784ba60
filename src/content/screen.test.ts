import { describe, expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { compileRules } from './compile.ts'
import { contentRule, type ContentRuleInput } from './schema.ts'
import { screen, type Message } from './screen.ts'

function look(rules: readonly Omit<ContentRuleInput, 'name'>[], message: Message) {
  const versioned = rules.map((rule, at) => {
    const parsed = contentRule.parse({ name: `rule-${at}`, ...rule })
    return { ref: { name: parsed.name, id: `crule_${at}`, version: '1' }, rule: parsed }
  })
  return screen(message, compileRules(versioned), (rule, value) => `tok_${rule}_${JSON.stringify(value).length}`)
}

const args = (value: JsonObject): Message => ({ kind: 'params', value: { name: 'tool', arguments: value } })
const result = (text: string, structuredContent?: JsonObject): Message => ({
  kind: 'result',
  value: { content: [{ type: 'text', text }], ...(structuredContent ? { structuredContent } : {}) },
})

test('a message in which nothing is found is the very same object', () => {
  const message = args({ text: 'nothing here' })

  const screened = look([{ detect: ['ssn'], effect: 'redact' }], message)

  expect(screened).toMatchObject({ outcome: 'passes', applied: [] })
  expect(screened.value).toBe(message.value)
})

test('a number that is not to go out blocks the call, and the verdict does not tell it', () => {
  const screened = look(
    [{ detect: ['ssn'], effect: 'block', note: 'Use the customer number.' }],
    args({ a: '123-45-6789' }),
  )

  expect(screened).toMatchObject({
    outcome: 'blocked',
    by: { name: 'rule-0', version: '1', note: 'Use the customer number.' },
  })
  expect(JSON.stringify(screened)).not.toContain('6789')
})

test('a field is taken out of the structured content, out of the text that repeats it, and out of other words', () => {
  const data = { people: [{ name: 'Ann', salary: 'EUR 93500' }] }
  const message: Message = {
    kind: 'result',
    value: {
      content: [
        { type: 'text', text: JSON.stringify(data) },
        { type: 'text', text: 'Ann earns EUR 93500.' },
      ],
      structuredContent: data,
    },
  }

  const screened = look([{ path: '$.people[*].salary', effect: 'redact' }], message)

  expect(screened.value).toEqual({
    content: [
      { type: 'text', text: '{"people":[{"name":"Ann"}]}' },
      { type: 'text', text: 'Ann earns [redacted].' },
    ],
    structuredContent: { people: [{ name: 'Ann' }] },
  })
})

describe('several rules', () => {
  test.each<[string, readonly Omit<ContentRuleInput, 'name'>[], string, string]>([
    [
      'places that do not touch are changed each',
      [
        { pattern: 'aaa', effect: 'redact' },
        { pattern: 'bbb', effect: 'replace', with: 'B' },
      ],
      'aaa bbb',
      '[redacted] B',
    ],
    [
      'places that overlap are one, and the first rule in order says what stands there',
      [
        { pattern: 'abc', effect: 'replace', with: '1', order: 2 },
        { pattern: 'cde', effect: 'replace', with: '2', order: 1 },
      ],
      'xabcdex',
      'x2x',
    ],
    [
      'of equal order the name decides',
      [
        { pattern: 'abc', effect: 'replace', with: '1' },
        { pattern: 'cde', effect: 'replace', with: '2' },
      ],
      'xabcdex',
      'x1x',
    ],
    [
      'a chain of overlaps is one place',
      [
        { pattern: 'ab', effect: 'redact', with: '-' },
        { pattern: 'bc', effect: 'redact' },
        { pattern: 'cd', effect: 'redact' },
      ],
      'abcd',
      '-',
    ],
    [
      'a place inside another goes with it',
      [
        { pattern: 'b', effect: 'replace', with: 'X', order: 200 },
        { pattern: 'abc', effect: 'redact' },
      ],
      'abc',
      '[redacted]',
    ],
    [
      'every rule looks at the message as it came',
      [
        { pattern: 'one', effect: 'replace', with: 'two' },
        { pattern: 'two', effect: 'replace', with: 'three' },
      ],
      'one',
      'two',
    ],
    [
      'what is cut is cut after the places are changed',
      [
        { effect: 'truncate', max_chars: 4, phase: 'output' },
        { pattern: 'abcdef', effect: 'replace', with: 'x' },
      ],
      'abcdefgh',
      'xgh',
    ],
    [
      'notes come last',
      [
        { effect: 'annotate', note: 'Checked.', phase: 'output' },
        { pattern: 'a', effect: 'replace', with: 'b' },
      ],
      'a',
      'b',
    ],
  ])('%s', (_, rules, text, expected) => {
    const { value } = look(rules, result(text))

    expect(value['content']).toMatchObject([
      { text: expected },
      ...(rules.some((rule) => rule.effect === 'annotate') ? [{ text: 'Checked.' }] : []),
    ])
  })

  test('a rule that blocks decides, wherever it stands', () => {
    const rules = [
      { pattern: 'secret', effect: 'redact', order: 1 },
      { pattern: 'secret', effect: 'approve', order: 2, phase: 'input' },
      { pattern: 'secret', effect: 'block', order: 900 },
    ] as const

    expect(look(rules, args({ a: 'a secret' }))).toMatchObject({ outcome: 'blocked', by: { name: 'rule-2' } })
  })

  test('what a person is asked to approve has been redacted', () => {
    const rules = [
      { pattern: 'secret', effect: 'redact' },
      { effect: 'approve', phase: 'input' },
    ] as const

    const screened = look(rules, args({ a: 'a secret' }))

    expect(screened).toMatchObject({
      outcome: 'needs-approval',
      by: { name: 'rule-1' },
      value: { arguments: { a: 'a [redacted]' } },
    })
  })
})
