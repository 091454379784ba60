import { NOWHERE, type Finder, type Span } from './span.ts'

/** Lengths by country (ISO 13616 registry). */
const LENGTHS = new Map(
  [
    ...'AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28'.split(' '),
    ...'EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27'.split(' '),
    ...'JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18'.split(' '),
    ...'NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28'.split(' '),
    ...'TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'.split(' '),
  ].map((entry) => [entry.slice(0, 2), Number(entry.slice(2))] as const),
)

const BEGINNING = /[A-Za-z]{2}[ -]?\d[ -]?\d/g
const LONGEST = 34

/** International bank account numbers: a country, its length, and the check digits (ISO 7064 MOD 97-10). */
export const findIbans: Finder = (text) => {
  if (text.search(BEGINNING) < 0) return NOWHERE
  const spans: Span[] = []
  let after = 0
  for (const { index } of text.matchAll(BEGINNING)) {
    if (index < after) continue
    const end = endOfIban(text, index)
    if (end === null) continue
    spans.push([index, end])
    after = end
  }
  return spans
}

function endOfIban(text: string, start: number): number | null {
  const length = LENGTHS.get(text.slice(start, start + 2).toUpperCase())
  if (length === undefined) return null
  let compact = ''
  let at = start
  for (; compact.length < length && at < start + 2 * LONGEST; at++) {
    const char = text.charAt(at)
    if (/[A-Za-z0-9]/.test(char)) compact += char
    else if (char !== ' ' && char !== '-') return null
  }
  return compact.length === length && hasGoodCheckDigits(compact.toUpperCase()) ? at : null
}

function hasGoodCheckDigits(iban: string): boolean {
  let rest = 0
  for (const char of iban.slice(4) + iban.slice(0, 4)) {
    const value = Number.parseInt(char, 36)
    rest = (rest * (value > 9 ? 100 : 10) + value) % 97
  }
  return rest === 1
}
