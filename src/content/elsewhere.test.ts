import { expect, onTestFinished, test } from 'vitest'
import { SILENT } from '../audit/testing.ts'
import { createElsewhere } from './elsewhere.ts'
import { contentRule } from './schema.ts'

const stubborn = contentRule.parse({ name: 'r', effect: 'redact', pattern: '(?:a?){40}[^a]{0,50}(b|1){3,80}$' })
const RULES = [{ ref: { name: 'r', id: 'crule_1', version: '1' }, rule: stubborn }]
const LOOK = { kind: 'params', ranks: [0], userId: 'alice' } as const
const slow = { ...LOOK, value: { a: '1'.repeat(4_000_000) } }
const quick = { ...LOOK, value: { a: 'bbb' } }

function open(limits: { threads?: number; waiting?: number; deadlineMs?: number }) {
  const elsewhere = createElsewhere({ tokenKey: Buffer.alloc(32), log: SILENT, limits })
  onTestFinished(() => elsewhere.close())
  return elsewhere
}

const NOT_CHECKED = { kind: { code: 'content/not-checked' } }

test('what takes too long does not pass, and the next message finds a thread again', async () => {
  const elsewhere = open({ threads: 1, deadlineMs: 3_000 })

  await expect(elsewhere.look(RULES, slow)).rejects.toMatchObject(NOT_CHECKED)
  expect(await elsewhere.look(RULES, quick)).toMatchObject({ outcome: 'changed', value: { a: '[redacted]' } })
})

test('only so many wait', async () => {
  const elsewhere = open({ threads: 1, waiting: 1 })
  const first = elsewhere.look(RULES, quick)

  await expect(async () => elsewhere.look(RULES, quick)).rejects.toMatchObject(NOT_CHECKED)
  expect(await first).toMatchObject({ outcome: 'changed' })
})

test('closing the house ends what waits', async () => {
  const elsewhere = open({ threads: 2 })
  const waiting = expect(elsewhere.look(RULES, slow)).rejects.toMatchObject(NOT_CHECKED)

  await elsewhere.close()

  await waiting
})

test('a message with rules that have changed is looked at by the new ones', async () => {
  const elsewhere = open({ threads: 1 })
  const other = [{ ref: { name: 'r', id: 'crule_1', version: '2' }, rule: { ...stubborn, pattern: 'x', with: '-' } }]

  expect(await elsewhere.look(RULES, quick)).toMatchObject({ value: { a: '[redacted]' } })
  expect(await elsewhere.look(other, { ...LOOK, value: { a: 'bbbx' } })).toMatchObject({
    value: { a: 'bbb-' },
    applied: [{ version: '2' }],
  })
})
