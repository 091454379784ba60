/**
 * `node bench/content.ts`: how long the event loop stands still while content rules look through five megabytes, and
 * for hostile patterns. What the rules cost a usual call is measured by `governed.ts`.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { contentRule, type ContentRule, type Subject } from '../src/content/index.ts'
import type { Gatehouse } from '../src/main/index.ts'
import { RULES, USER } from './children/rules.ts'
import { openBenchHouse } from './house.ts'

const MEGABYTES = 5

const SUBJECT: Subject = {
  gateway: 'open',
  server: { name: 'reference', tags: [] },
  thing: 'echo',
  user: { userId: USER, groups: [] },
}

await using opened = await openBenchHouse()
for (const kind of hostileTexts()) await measureStandstill(opened.house, kind)

type Text = { readonly name: string; readonly text: string; readonly rules: readonly ContentRule[] }

function hostileTexts(): Text[] {
  const filled = (piece: string): string => piece.repeat(Math.ceil((MEGABYTES * 1_048_576) / piece.length))
  const pattern = (source: string) => [contentRule.parse({ name: 'hostile', pattern: source, effect: 'redact' })]
  const targets = [
    contentRule.parse({ name: 'urls', url_hosts: ['evil.example'], url_paths: ['/admin/'], effect: 'redact' }),
    contentRule.parse({ name: 'sql', path: '$.text', sql_verbs: ['drop'], effect: 'redact' }),
  ]
  const small = (text: string): string => text.slice(0, 16_384)
  return [
    { name: '5 MB of prose, three rules', text: filled('Lorem ipsum dolor sit amet 12 consectetur. '), rules: RULES },
    { name: '5 MB of separated digits, three rules', text: filled('4-1-1-'), rules: RULES },
    { name: '5 MB of full-width digits, three rules', text: filled('４１１１'), rules: RULES },
    { name: '5 MB of "a", (a+)+$', text: filled('a'), rules: pattern('(a+)+$') },
    { name: '5 MB of "a1", 40 optional letters', text: filled('a1'), rules: pattern('(?:a?){40}a{40}b') },
    { name: '5 MB of addresses inside of addresses', text: filled('a://a'), rules: targets },
    { name: '5 MB of quotes with a verb', text: filled(`'"drop`), rules: targets },
    { name: '16 KB of addresses inside of addresses', text: small(filled('a://a')), rules: targets },
    { name: '16 KB of quotes with a verb', text: small(filled(`'"drop`)), rules: targets },
    { name: '16 KB of separated digits, three rules', text: small(filled('4-1-1-')), rules: RULES },
    { name: '16 KB of full-width digits, three rules', text: small(filled('４１１１')), rules: RULES },
    { name: '16 KB of "a", (a+)+$', text: small(filled('a')), rules: pattern('(a+)+$') },
  ]
}

/** The longest time between two turns of the event loop while the message is looked through. */
async function measureStandstill({ content }: Gatehouse, { name, text, rules }: Text): Promise<void> {
  content.declare(rules)
  // The thread is started and the rules are compiled once, before.
  for (let warm = 0; warm < 3; warm++)
    await content.screen('input', SUBJECT, { kind: 'params', value: { arguments: { text } } })
  let [longest, last, isDone] = [0, performance.now(), false]
  const turn = (): void => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (!isDone) setImmediate(turn)
  }
  await pause(50)
  last = performance.now()
  setImmediate(turn)
  await pause(5)
  const started = performance.now()
  const { outcome } = await content.screen('input', SUBJECT, { kind: 'params', value: { arguments: { text } } })
  const took = performance.now() - started
  await new Promise((resolve) => setImmediate(resolve))
  isDone = true
  print(
    `${name}: the event loop stands still for ${longest.toFixed(1)} ms at the most; ${outcome} after ${took.toFixed(0)} ms`,
  )
}

function print(line: string): void {
  console.log(line)
}
