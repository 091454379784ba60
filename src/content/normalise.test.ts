import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { normalise } from './normalise.ts'
import { compileRules } from './compile.ts'
import { contentRule, type ContentRuleInput } from './schema.ts'
import { screen } from './screen.ts'

function redact(text: string, rule: Partial<ContentRuleInput>): unknown {
  const parsed = contentRule.parse({ name: 'r', effect: 'redact', ...rule })
  const rules = compileRules([{ ref: { name: 'r', id: 'crule_1', version: '1' }, rule: parsed }])
  return screen({ kind: 'notification', value: { message: text } }, rules, () => '').value['message']
}

describe('tricks of writing do not hide', () => {
  test.each([
    ['full-width digits', '２１９-０９-９９９９'],
    ['Arabic-Indic digits', '٢١٩-٠٩-٩٩٩٩'],
    ['Devanagari digits', '२१९-०९-९९९९'],
    ['mathematical digits', '𝟐𝟏𝟗-𝟎𝟗-𝟗𝟗𝟗𝟗'],
    ['superscripts', '²¹⁹-⁰⁹-⁹⁹⁹⁹'],
    ['circled digits', '②①⑨-⓪⑨-⑨⑨⑨⑨'],
    ['zero-width spaces', '2\u200b1\u200b9-0\u200b9-9999'],
    ['zero-width joiners', '21\u200d9-09-99\u200d99'],
    ['a byte order mark', '219-\ufeff09-9999'],
    ['soft hyphens', '21\u00ad9-09-99\u00ad99'],
    ['right-to-left marks', '219\u200f-09-\u202e9999'],
    ['variation selectors', '2\ufe0f19-09-9999'],
    ['strike-through marks', '2\u03361\u03369-09-9999'],
    ['en dashes', '219–09–9999'],
    ['a minus sign', '219−09−9999'],
    ['no-break spaces', '219\u00a009\u00a09999'],
    ['thin spaces', '219\u200909\u20099999'],
    ['tag characters', '219-09\u{e0041}-9999'],
    ['JSON escapes', String.raw`\u0032\u0031\u0039-09-9999`],
    ['percent escapes', '%32%31%39-09-9999'],
    ['HTML entities', '&#50;&#x31;&#57;-09-9999'],
    ['JSON escapes in JSON', String.raw`\\u0032\\\\u0031\u0039-09-9999`],
    ['percent escapes of percent escapes', '%2532%252531%39-09-9999'],
    ['HTML entities of HTML entities', '&amp;#50;&amp;amp;#x31;9-09-9999'],
    ['full-width digits behind JSON escapes', String.raw`\uff12\uff11\uff19-09-9999`],
    ['separators between all digits', '2 1 9 - 0 9 - 9 9 9 9'],
  ])('a number in %s', (_, text) => {
    expect(redact(`number ${text}, thanks`, { detect: ['ssn'] })).toBe('number [redacted], thanks')
  })

  test.each([
    ['ligatures', 'con\ufb01dential'],
    ['mathematical letters', '𝓬𝓸𝓷𝓯𝓲𝓭𝓮𝓷𝓽𝓲𝓪𝓵'],
    ['full-width letters', 'ｃｏｎｆｉｄｅｎｔｉａｌ'],
    ['zero-width characters', 'con\u200bfid\u2060ential'],
    ['combining marks', 'c\u0336o\u0336nfidential'],
  ])('a word in %s', (_, text) => {
    expect(redact(`very ${text}!`, { pattern: '(?i)confidential' })).toBe('very [redacted]!')
  })

  test('a pattern is also tried on the text as it is written', () => {
    expect(redact('a％b', { pattern: '％' })).toBe('a[redacted]b')
  })

  test('base64 of what is looked for, where the rule says so', () => {
    const text = `data: ${Buffer.from('my number is 219-09-9999, ok').toString('base64')} end`

    expect(redact(text, { detect: ['ssn'] })).toBe(text)
    expect(redact(text, { detect: ['ssn'], decode_base64: true })).toBe('data: [redacted] end')
  })
})

test('text around what was found stays as it was written', () => {
  expect(redact('１２３ é 219-09-9999 ﬁ 日本語，😀', { detect: ['ssn'] })).toBe('１２３ é [redacted] ﬁ 日本語，😀')
})

test('every place leads back into the original, in order, and plain text is itself', () => {
  const pieces = fc.constantFrom(
    'a',
    '1',
    '２',
    '\u200b',
    'ﬁ',
    'e\u0301',
    '%31',
    String.raw`\u0031`,
    '😀',
    '\u0336',
    '½',
    '&#49;',
    '-',
    '–',
    ' ',
  )
  fc.assert(
    fc.property(fc.array(pieces, { minLength: 1, maxLength: 40 }), fc.nat(), fc.nat(), (parts, from, length) => {
      const original = parts.join('')
      const found = normalise(original)
      if (found === null || found.text.length === 0) return true
      const start = from % found.text.length
      const end = start + 1 + (length % (found.text.length - start))
      const [first, last] = found.toOriginal([start, end])
      return (
        first >= 0 && first < last && last <= original.length && found.toOriginal([0, found.text.length])[0] <= first
      )
    }),
  )
  expect(normalise('plain text')).toBeNull()
})
