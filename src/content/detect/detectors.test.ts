import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findersOf, type Detector } from './detectors.ts'

function find(detector: Detector, text: string): string[] {
  return findersOf(detector).flatMap((finder) => finder(text).map(([start, end]) => text.slice(start, end)))
}

// Numbers that payment companies publish for tests, and samples from the documentation of each maker.
const PEM = '-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----'
const JWT = `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.${Buffer.from('{"sub":"a"}').toString('base64url')}.c2lnbmF0dXJl`

describe('found, and nothing around it', () => {
  test.each<[Detector, string]>([
    ['card', '4111111111111111'],
    ['card', '4111 1111 1111 1111'],
    ['card', '4111-1111-1111-1111'],
    ['card', '4111.1111.1111.1111'],
    ['card', '4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1'],
    ['card', '5555555555554444'],
    ['card', '2223003122003222'],
    ['card', '378282246310005'],
    ['card', '3782 822463 10005'],
    ['card', '6011111111111117'],
    ['card', '30569309025904'],
    ['card', '3530111333300000'],
    ['card', '6200000000000005'],
    ['ssn', '219-09-9999'],
    ['ssn', '219 09 9999'],
    ['ssn', '219.09.9999'],
    ['ssn', '2-1-9-0-9-9-9-9-9'],
    ['ssn-bare', '219099999'],
    ['iban', 'DE89370400440532013000'],
    ['iban', 'DE89 3704 0044 0532 0130 00'],
    ['iban', 'gb82 west 1234 5698 7654 32'],
    ['iban', 'NO9386011117947'],
    ['iban', 'MT84MALT011000012345MTLCAST001S'],
    ['email', 'ann.smith+tag@mail.example.co.uk'],
    ['email', "o'neill@example.org"],
    ['email', 'jörg@bücher.example'],
    ['phone', '+44 20 7946 0958'],
    ['phone', '+1 (212) 555-0123'],
    ['phone', '212-555-0123'],
    ['phone', '212.555.0123'],
    ['aws-key', 'AKIAIOSFODNN7EXAMPLE'],
    ['aws-key', 'aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'],
    ['github-token', `ghp_${'a1B2'.repeat(9)}`],
    ['github-token', `github_pat_${'a1B2'.repeat(10)}`],
    ['gitlab-token', 'glpat-abcdefghij0123456789'],
    ['slack-token', 'xoxb-123456789012-abcdefABCDEF'],
    ['google-key', `AIza${'Sy0-'.repeat(8)}abc`],
    ['stripe-key', `sk_live_${'4eC39HqLyjWDarjtT1zdp7dc'}`],
    ['ai-key', `sk-ant-${'a1B2c3'.repeat(5)}`],
    ['npm-token', `npm_${'a1B2'.repeat(9)}`],
    ['gatehouse-key', `gh_${'0a'.repeat(4)}_${'0'.repeat(39)}`],
    ['jwt', JWT],
    ['private-key', PEM],
  ])('%s in "… %s, …"', (detector, text) => {
    expect(find(detector, `see (${text}), please`)).toEqual([text])
  })
})

describe('not found', () => {
  test.each<[Detector, string, string]>([
    ['card', '4111111111111112', 'a wrong check digit'],
    ['card', '1234567812345670', 'no known issuer'],
    ['card', '0000000000000000', 'all zeros'],
    ['card', '94111111111111111', 'part of a longer number'],
    ['card', '41111111111111110000', 'part of a longer number'],
    ['card', '411111111111111', 'too short'],
    ['ssn', '219099999', 'no separators'],
    ['ssn', '000-12-3456', 'area 000'],
    ['ssn', '666-12-3456', 'area 666'],
    ['ssn', '900-12-3456', 'area 9xx'],
    ['ssn', '219-00-9999', 'group 00'],
    ['ssn', '219-09-0000', 'serial 0000'],
    ['ssn', '21-909-9999', 'other groups'],
    ['ssn', '2024-11-25 10:30', 'a date'],
    ['ssn-bare', '2190999991', 'ten digits'],
    ['iban', 'DE88370400440532013000', 'wrong check digits'],
    ['iban', 'DE8937040044053201300', 'too short for its country'],
    ['iban', 'ZZ89370400440532013000', 'no such country'],
    ['email', 'a@b', 'no top-level domain'],
    ['email', '@example.org', 'no name'],
    ['email', 'user@127.0.0.1', 'an address of a machine'],
    ['phone', '123-555-0123', 'no such area code'],
    ['phone', '2125550123', 'ten digits alone'],
    ['aws-key', 'AKIAIOSFODNN7EXAMPL', 'too short'],
    ['aws-key', 'XAKIAIOSFODNN7EXAMPLE', 'in the middle of a word'],
    ['github-token', 'ghp_short', 'too short'],
    ['jwt', 'eyJhbGciOiJIUzI1NiJ9', 'one part only'],
    ['jwt', 'eyJmb28iOiJiYXIifQ.eyJzdWIiOiJhIn0.c2ln', 'names no algorithm'],
    ['private-key', '-----BEGIN PUBLIC KEY-----', 'a public key'],
  ])('%s in "%s": %s', (detector, text) => {
    expect(find(detector, text)).toEqual([])
  })
})

/** Digits with the check digit that makes them valid. */
function withLuhn(digits: string): string {
  const sum = digits
    .split('')
    .toReversed()
    .reduce((total, digit, index) => {
      const value = Number(digit) * (index % 2 === 0 ? 2 : 1)
      return total + (value > 9 ? value - 9 : value)
    }, 0)
  return `${digits}${(10 - (sum % 10)) % 10}`
}

const digits = (length: number) =>
  fc.array(fc.integer({ min: 0, max: 9 }), { minLength: length, maxLength: length }).map((all) => all.join(''))
const separator = fc.constantFrom('', ' ', '-', '.', ' - ', '/')

test('every Visa number with its right check digit is a card, in any groups, and with another digit none is', () => {
  fc.assert(
    fc.property(digits(14), separator, fc.integer({ min: 1, max: 9 }), (rest, between, off) => {
      const number = withLuhn(`4${rest}`)
      const grouped = number.match(/.{4}/g)?.join(between.length > 2 ? ' ' : between) ?? ''
      const wrong = `${number.slice(0, 15)}${(Number(number.slice(15)) + off) % 10}`

      return find('card', grouped).length === 1 && find('card', wrong).length === 0
    }),
  )
})

test('every IBAN with computed check digits is found, and with other ones none is', () => {
  fc.assert(
    fc.property(digits(18), fc.integer({ min: 1, max: 96 }), (account, off) => {
      const rest = 98n - (BigInt(`${account}131400`) % 97n)
      const check = String(rest).padStart(2, '0')
      const other = String(((Number(rest) - 2 + off) % 97) + 2).padStart(2, '0')

      return find('iban', `DE${check}${account}`).length === 1 && find('iban', `DE${other}${account}`).length === 0
    }),
  )
})

test('no text makes a detector fail, and what it finds lies inside the text', () => {
  const pieces = fc.constantFrom(
    '4111',
    '-',
    '1',
    '@',
    'a',
    '.',
    'eyJ',
    'AKIA',
    ' ',
    '://',
    '-----BEGIN ',
    'PRIVATE KEY-----',
    'DE89',
    '\u200b',
    '😀',
  )
  fc.assert(
    fc.property(
      fc.array(pieces, { maxLength: 60 }),
      fc.constantFrom<Detector>('card', 'ssn', 'iban', 'email', 'phone', 'secrets'),
      (parts, detector) => {
        const text = parts.join('')
        return findersOf(detector).every((finder) =>
          finder(text).every(([start, end]) => start >= 0 && start < end && end <= text.length),
        )
      },
    ),
  )
})

test('a run of a hundred thousand groups is looked at in pieces, and a number in the middle is found', () => {
  const text = `${'1 '.repeat(50_000)}219-09-9999 ${'1 '.repeat(50_000)}`

  expect(find('ssn', `${'x'}${text}`)).toContain('219-09-9999')
})
