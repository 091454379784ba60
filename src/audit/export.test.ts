import fc from 'fast-check'
import { expect, it } from 'vitest'
import { forEachEngine, type TestEngine } from '../storage/testing.ts'
import { csvHeading, csvLine, toOtlp, verifyExport, type ExportLine } from './index.ts'
import { callOf, openTestTrail, recordCalls, type TestTrail } from './testing.ts'

const ADMIN = { kind: 'admin', userId: 'root', keyId: null, face: 'cli' } as const
const DAY_MS = 86_400_000

async function linesOf(trail: TestTrail, filter = {}): Promise<ExportLine[]> {
  return Array.fromAsync(await trail.audit.export(ADMIN, filter))
}

async function* asText(lines: readonly unknown[]): AsyncGenerator<string> {
  for (const line of lines) yield JSON.stringify(line)
}

const recordsIn = (lines: readonly ExportLine[]) => lines.flatMap((line) => ('seq' in line ? [line] : []))

/** Two chains, the first closed; with extras whose members JSON would put into another order. */
async function openExported(engine: TestEngine, options = {}) {
  const trail = await openTestTrail(engine, { checkpointEveryRecords: 8, ...options })
  await recordCalls(trail.audit, 20)
  await trail.audit.record(
    callOf(21, { extra: { b: 1, 10: 'ten', 9: 'nine', a: { z: 1, y: [2] } }, reason: 'π “quoted”' }),
  )
  await trail.restart()
  await recordCalls(trail.audit, 1_200)
  return trail
}

forEachEngine((engine) => {
  it('an export of everything verifies away from the house, with the keys of the house', async () => {
    await using trail = await openExported(engine)

    const lines = await linesOf(trail)
    const verdict = await verifyExport(asText(lines), trail.audit.publicKey())

    expect(verdict).toMatchObject({ ok: true, isWhole: true, chains: 2, faults: [] })
    expect(verdict.records).toBe(recordsIn(lines).length)
    expect(verdict.records).toBeGreaterThanOrEqual(22 + 1_201)
    expect(verdict.signed).toBeGreaterThan(3)
    expect(lines.at(-1)).toEqual({ end: { records: verdict.records, filter: {} } })
  })

  it('an export of what retention has left verifies too, and so does one by time', async () => {
    await using trail = await openExported(engine)
    const all = recordsIn(await linesOf(trail))
    const since = all.at(600)?.at ?? 0

    const lines = await linesOf(trail, { since })
    const verdict = await verifyExport(asText(lines), trail.audit.publicKey())

    expect(verdict).toMatchObject({ ok: true, isWhole: false })
    expect(recordsIn(lines).filter(({ what }) => what === 'tools/call').length).toBe(
      all.filter(({ at, what }) => at >= since && what === 'tools/call').length,
    )
  })

  it('the export itself is recorded, before its first line', async () => {
    await using trail = await openTestTrail(engine)
    await recordCalls(trail.audit, 3)

    const lines = await linesOf(trail, { tool: 'echo' })

    expect(recordsIn(lines)).toHaveLength(3)
    const { records } = await trail.audit.search({ what: 'audit.exported' })
    expect(records).toMatchObject([{ userId: 'root', extra: { filter: { tool: 'echo' } } }])
  })
})

type Tamper = (lines: ExportLine[]) => unknown[]
const at = (lines: readonly ExportLine[], index: number) =>
  lines.indexOf(recordsIn(lines)[index] ?? lines[0] ?? { end: { records: 0, filter: {} } })

it.each<[string, string, Tamper]>([
  [
    'an edited record',
    'edited',
    (lines) => lines.with(at(lines, 5), { ...recordsIn(lines)[5], userId: 'mallory' } as ExportLine),
  ],
  ['a record that is gone', 'removed', (lines) => lines.toSpliced(at(lines, 5), 1)],
  [
    'two records that changed places',
    'reordered',
    (lines) =>
      lines
        .with(at(lines, 5), lines[at(lines, 6)] ?? ({} as ExportLine))
        .with(at(lines, 6), lines[at(lines, 5)] ?? ({} as ExportLine)),
  ],
  [
    'a record twice',
    'reordered',
    (lines) => lines.toSpliced(at(lines, 5), 0, lines[at(lines, 5)] ?? ({} as ExportLine)),
  ],
  ['an end that is cut off', 'truncated', (lines) => lines.slice(0, -3)],
  ['an end that is cut off, with the last line kept', 'removed', (lines) => lines.toSpliced(-3, 2)],
  ['a line that is none', 'edited', (lines) => lines.toSpliced(3, 0, {} as ExportLine)],
  [
    'a checkpoint with another hash',
    'checkpoint-mismatch',
    (lines) => lines.map((line) => ('checkpoint' in line ? { checkpoint: { ...line.checkpoint, hash: 'x' } } : line)),
  ],
])('verifying a file finds %s', async (_what, kind, tamper) => {
  await using trail = await openExported('sqlite')
  const lines = await linesOf(trail)

  const verdict = await verifyExport(asText(tamper(lines)), trail.audit.publicKey())

  expect(verdict.ok).toBe(false)
  expect(verdict.faults.map((fault) => fault.kind)).toContain(kind)
})

it('a file that was made anew by somebody without the key is noticed with the key only', async () => {
  await using trail = await openExported('sqlite')
  await using mallory = await openExported('sqlite')
  const forged = await linesOf(mallory)

  const withKey = await verifyExport(asText(forged), trail.audit.publicKey())
  const without = await verifyExport(asText(forged))

  expect(withKey.ok).toBe(false)
  expect(without).toMatchObject({ ok: true, signed: 0, unsigned: forged.filter((line) => 'seq' in line).length })
})

it('after retention the rest of an export verifies, and says how much was removed', async () => {
  const clock = { ahead: 0, now: () => Date.now() + clock.ahead }
  await using trail = await openTestTrail('sqlite', { checkpointEveryRecords: 8, keepMs: 30 * DAY_MS }, clock)
  for (let number = 0; number < 40; number++) await trail.audit.record(callOf(number))
  await expect.poll(async () => (await trail.audit.verify()).checkpoints).toBeGreaterThanOrEqual(12)
  clock.ahead += 40 * DAY_MS
  await recordCalls(trail.audit, 5)
  const { records } = await trail.audit.removeOld()

  const verdict = await verifyExport(asText(await linesOf(trail)), trail.audit.publicKey())

  expect(records).toBeGreaterThan(20)
  expect(verdict).toMatchObject({ ok: true, isWhole: true, removed: records })
})

it('an export reads on only as its reader does', async () => {
  await using trail = await openExported('sqlite')
  const lines = (await trail.audit.export(ADMIN, {}))[Symbol.asyncIterator]()
  await lines.next()

  await trail.storage.close()

  const rest = async (): Promise<void> => {
    for (let next = await lines.next(); next.done !== true; next = await lines.next());
  }
  await expect(rest()).rejects.toThrow()
})

const shown = (more: object) => ({
  chain: 'chn_a',
  seq: 1,
  at: 0,
  prev: 'p',
  what: 'tools/call',
  decision: 'allowed' as const,
  hash: 'h',
  ...more,
})

it.each([
  ['=1+1', `"'=1+1"`],
  ['+41', `"'+41"`],
  ['-2', `"'-2"`],
  ['@SUM(A1)', `"'@SUM(A1)"`],
  ['\t=1', `"'\t=1"`],
  [' =1', `"' =1"`],
  ['＝1', `"'＝1"`],
  ['a,b', '"a,b"'],
  ['say "hi"\n', '"say ""hi""\n"'],
  ['plain', 'plain'],
])('no cell of a CSV is taken for a formula: %j', (toolName, cell) => {
  expect(csvLine(shown({ toolName }))).toContain(`,${cell},`)
})

it('no text of a caller makes a CSV cell that a spreadsheet computes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (reason) => {
      const line = csvLine(shown({ reason, client: reason }))
      return !/(^|,)"?\s*[=+\-@]/.test(
        line.replaceAll(/"(?:[^"]|"")*"/g, (cell) => (/^"\s*[=+\-@]/.test(cell) ? '=' : 'x')),
      )
    }),
  )
})

it('a CSV line has as many cells as the heading', () => {
  expect(
    csvLine(shown({ extra: { a: 1 } }))
      .replaceAll(/"(?:[^"]|"")*"/g, 'x')
      .split(','),
  ).toHaveLength(csvHeading().split(',').length)
})

it('OTLP: severity, time, trace and attributes as its JSON form wants them', () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const request = JSON.parse(
    JSON.stringify(toOtlp([shown({ decision: 'denied', at: 1_700_000_000_123, traceId, latencyMs: 1.5 })])),
  )

  const { logRecords } = request.resourceLogs[0].scopeLogs[0]
  expect(logRecords).toMatchObject([
    {
      timeUnixNano: '1700000000123000000',
      severityNumber: 13,
      severityText: 'WARN',
      traceId,
      body: { stringValue: 'denied: tools/call' },
    },
  ])
  expect(logRecords[0].attributes).toContainEqual({ key: 'gatehouse.audit.seq', value: { intValue: '1' } })
  expect(logRecords[0].attributes).toContainEqual({ key: 'gatehouse.audit.latencyMs', value: { doubleValue: 1.5 } })
  expect(logRecords[0].attributes).toContainEqual({ key: 'gatehouse.audit.hash', value: { stringValue: 'h' } })
})
