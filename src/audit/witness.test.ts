import { expect, it } from 'vitest'
import { Problem } from '#kernel'
import type { Use } from '#http'
import { createWitness, noteInRequest } from './witness.ts'
import type { AuditEvent } from './schema.ts'
import { SILENT } from './testing.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const REFUSED = { code: 'test/refused', status: 409, title: 'It is taken' } as const
const ADMIN = { kind: 'admin', userId: 'root', keyId: null, face: 'rest' } as const

/** A witness over a trail in memory; `record` is what rooms call. */
function openWitness(fails = false) {
  const records: AuditEvent[] = []
  const record = async (event: AuditEvent): Promise<void> => {
    if (fails) throw new Error('the store is down')
    records.push(noteInRequest(event))
  }
  return { records, record, witness: createWitness({ audit: { record }, clock: { now: () => 0 }, log: SILENT }) }
}

function use(method: 'GET' | 'POST' = 'POST'): Use {
  const operation = { method, path: '/x', summary: '', access: 'admin' } as const
  const headers = new Headers({ traceparent: `00-${TRACE}-00f067aa0ba902b7-01` })
  return { operationId: 'doIt', operation, headers, remoteAddress: '10.0.0.1', caller: ADMIN }
}

const made = { what: 'thing.made', decision: 'allowed' } as const

it('what a room has recorded is not recorded again, and has the trace of its request', async () => {
  const { records, record, witness } = openWitness()

  await witness(use(), () => record(made))

  expect(records).toEqual([{ ...made, traceId: TRACE }])
})

it('what a room has not recorded is, and reading is not', async () => {
  const { records, witness } = openWitness()

  await witness(use(), async () => 'done')
  await witness(use('GET'), async () => 'read')

  expect(records).toMatchObject([{ what: 'api.attempted', decision: 'allowed', userId: 'root', traceId: TRACE }])
})

it('a change that was recorded as allowed and then failed has a second record that says so', async () => {
  const { records, record, witness } = openWitness()
  const failing = async (): Promise<void> => {
    await record(made)
    throw new Problem(REFUSED, 'the secret "hunter2" is taken')
  }

  await expect(witness(use(), failing)).rejects.toThrow('is taken')

  expect(records.map(({ decision }) => decision)).toEqual(['allowed', 'failed'])
  expect(records[1]).toMatchObject({ reason: 'It is taken', extra: { operation: 'doIt', code: 'test/refused' } })
  expect(JSON.stringify(records)).not.toContain('hunter2')
})

it('what a request has set going is not part of it any more once it is answered', async () => {
  const { records, record, witness } = openWitness()
  const later = Promise.withResolvers<void>()
  let work = Promise.resolve()

  await witness(use(), async () => {
    work = later.promise.then(() => record(made))
  })
  later.resolve()
  await work

  expect(records.map(({ what, traceId }) => [what, traceId ?? null])).toEqual([
    ['api.attempted', TRACE],
    ['thing.made', null],
  ])
})

it('a change that nobody could record is not told as done; a refusal stands', async () => {
  const { witness } = openWitness(true)
  const refusing = async (): Promise<void> => {
    throw new Problem(REFUSED, 'it is taken')
  }

  await expect(witness(use(), async () => 'done')).rejects.toThrow('the store is down')
  await expect(witness(use(), refusing)).rejects.toThrow('it is taken')
})
