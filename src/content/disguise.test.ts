import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { compileRules } from './compile.ts'
import { normalise } from './normalise.ts'
import { contentRule, type ContentRuleInput } from './schema.ts'
import { screen, type Message, type Screened } from './screen.ts'

/** However a number is dressed, wherever it stands and whatever other rules find around it: it does not get past its rule. */
const SSN = '219-09-9999'
const BARE = '219099999'

/** The zeros of scripts whose digits stand in a row. */
const DIGITS = ['０', '٠', '०', '𝟎', '₀', '߀'].map((zero) => zero.codePointAt(0) ?? 0)
const inRow = (zero: number, digit: number): string => String.fromCodePoint(zero + digit)
const dressesOf = (letter: string): string[] =>
  letter === '-'
    ? ['-', '–', '‑', '−', '\u2012', '%2d', '&#45;', String.raw`\u002d`]
    : [
        letter,
        ...DIGITS.map((zero) => inRow(zero, Number(letter))),
        `%3${letter}`,
        `%253${letter}`,
        `&amp;#${48 + Number(letter)};`,
        `&#x3${letter};`,
        String.raw`\u003` + letter,
      ]
const UNSEEN = ['', '', '', '\u200b', '\u200d', '\u2060', '\ufeff', '\u00ad', '\u200f', '\ufe0f', '\u0336']

const dressed = fc
  .tuple(...Array.from(SSN, (letter) => fc.tuple(fc.constantFrom(...dressesOf(letter)), fc.constantFrom(...UNSEEN))))
  .map((letters) => letters.flat().join(''))
const around = fc.string({ maxLength: 12, unit: fc.constantFrom('a', ' ', 'é', '日', '😀', '.', '"', '\n', ':') })

/** The same text in the places that a message has. */
const places: readonly ((text: string) => Message)[] = [
  (text) => ({ kind: 'params', value: { name: 't', arguments: { deep: [{ note: text }] } } }),
  (text) => ({ kind: 'params', value: { name: 't', arguments: { [text]: 1 } } }),
  (text) => ({ kind: 'params', value: { name: 't', arguments: { json: JSON.stringify({ inside: text }) } } }),
  (text) => ({ kind: 'result', value: { content: [{ type: 'text', text }], structuredContent: { a: text } } }),
  (text) => ({ kind: 'error', value: { message: text, data: { again: [text] } } }),
  (text) => ({ kind: 'notification', value: { progress: 1, message: text } }),
]
const message = fc.tuple(around, dressed, around, fc.constantFrom(...places)).map(([before, number, after, place]) => {
  return place(`${before} ${number} ${after}`)
})

/** Rules of others that may find something beside it, or over it. */
const others: readonly Omit<ContentRuleInput, 'name'>[] = [
  { pattern: '[0-9]{2}-', effect: 'replace', with: '<>', order: 1 },
  { pattern: 'a+', effect: 'redact', order: 2 },
  { pattern: '9999', effect: 'tokenise', order: 3 },
  { path: '$..note', pattern: '0', effect: 'replace', with: '0', order: 4 },
  { effect: 'truncate', max_chars: 30, order: 5, phase: 'output' },
]

function look(rules: readonly Omit<ContentRuleInput, 'name'>[], seen: Message): Screened {
  const phase = seen.kind === 'params' ? 'input' : 'output'
  const meant = rules.filter((rule) => rule.phase === undefined || rule.phase === phase)
  const versioned = meant.map((rule, at) => {
    const parsed = contentRule.parse({ name: `rule-${at}`, ...rule, ...(rule.effect === 'truncate' ? {} : { phase }) })
    return { ref: { name: parsed.name, id: `crule_${at}`, version: '1' }, rule: parsed }
  })
  return screen(seen, compileRules(versioned), () => 'tok_x')
}

/** As a person would read it. */
function read(value: JsonObject): string {
  const text = JSON.stringify(value)
  return (normalise(text)?.text ?? text).replaceAll(/[^0-9a-z<>_]/g, '')
}

test('it is blocked', () => {
  fc.assert(
    fc.property(message, fc.subarray([...others]), (seen, more) => {
      const screened = look([...more, { detect: ['ssn'], effect: 'block', order: 900 }], seen)

      expect(screened.outcome).toBe('blocked')
      expect(screened.value).toEqual({})
    }),
    { numRuns: 300 },
  )
})

test('it is redacted, in whichever order, and what is left says nothing of it', () => {
  fc.assert(
    fc.property(message, fc.subarray([...others]), fc.integer({ min: 0, max: 10 }), (seen, more, order) => {
      const { value } = look([...more, { detect: ['ssn'], effect: 'redact', with: '', order }], seen)

      expect(read(value)).not.toContain(BARE)
      expect(read(value)).not.toMatch(/219.{0,4}09/)
    }),
    { numRuns: 300 },
  )
})

test('a text without it is left as it was', () => {
  fc.assert(
    fc.property(around, fc.constantFrom(...places), (text, place) => {
      const seen = place(text)

      expect(look([{ detect: ['ssn'], effect: 'redact' }], seen).value).toBe(seen.value)
    }),
  )
})
