import { expect, it } from 'vitest'
import { blankSecrets, payloadRule } from './payload-rules.ts'

it.each([
  [
    { password: 'x', user: 'a' },
    { password: '[redacted]', user: 'a' },
  ],
  [{ deep: [{ api_key: 'x' }] }, { deep: [{ api_key: '[redacted]' }] }],
  [{ text: '{"token":"x","n":1}' }, { text: '{"token":"[redacted]","n":1}' }],
  [{ text: 'Authorization: Bearer abcdef123456' }, { text: 'Authorization: Bearer [redacted]' }],
  [
    { password: null, secret: true },
    { password: null, secret: true },
  ],
  [{ text: '[not json' }, { text: '[not json' }],
])('blanks what is named like a secret: %j', (value, expected) => {
  expect(blankSecrets(value)).toEqual(expected)
})

it('blanks what is nested too deep to be looked at', () => {
  let nested: string = '"s3cret"'
  for (let depth = 0; depth < 100; depth++) nested = `[${nested}]`

  expect(JSON.stringify(blankSecrets({ nested: JSON.parse(nested) }))).not.toContain('s3cret')
})

it('keeps nothing that no rule asks for: a rule must say what it records', () => {
  expect(payloadRule.safeParse({ tools: ['*'] }).success).toBe(false)
})
