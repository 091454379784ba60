import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { AUDIT_MIGRATIONS, createAudit, type Audit } from '#audit'
import { createEgress } from '#http'
import { decrypt, encrypt, isJsonObject, isProblem, newId, type JsonObject } from '#kernel'
import { createMetrics } from '#telemetry'
import { SILENT } from '../audit/testing.ts'
import { openTestStorage } from '../storage/testing.ts'
import { APPROVALS_MIGRATIONS, approvalsConfig, createApprovals, type Approvals } from './index.ts'

/** One call and its approvals, against the same told in a few lines. */

const ALICE = 'alice@example.com'
const LEAD = 'lead@example.com'
const EXPIRES_MS = 60_000

/** What may happen, in any order. */
const STEP = fc.constantFrom('present', 'approve', 'deny', 'own-answer', 'give-back', 'half-time', 'full-time')
type Step = 'present' | 'approve' | 'deny' | 'own-answer' | 'give-back' | 'half-time' | 'full-time'

/** The newest approval of the call, as it must be. */
class Model {
  state: 'none' | 'pending' | 'approved' | 'denied' | 'used' = 'none'
  endsAt = 0
  readonly told = { requested: 0, approved: 0, denied: 0, used: 0, returned: 0, late: 0 }

  /** What a step answers with at this time. */
  take(step: Step, now: number): string {
    switch (step) {
      case 'present':
        return this.#present(now)
      case 'approve':
      case 'deny':
        return this.#answer(step === 'approve' ? 'approved' : 'denied', now)
      case 'own-answer':
        return this.state === 'none' ? 'nothing' : 'approvals/not-an-approver'
      case 'give-back':
        if (this.state !== 'used') return 'nothing'
        this.told.returned += 1
        this.state = 'approved'
        return 'returned'
      case 'half-time':
      case 'full-time':
        return 'time'
    }
  }

  #present(now: number): string {
    const isOver = this.endsAt <= now
    if (this.state === 'approved' && !isOver) {
      this.told.used += 1
      this.state = 'used'
      return 'approved'
    }
    if (this.state === 'denied' && !isOver) return 'denied'
    if (this.state === 'pending' && !isOver) return 'pending'
    this.told.requested += 1
    this.state = 'pending'
    this.endsAt = now + EXPIRES_MS
    return 'pending'
  }

  #answer(as: 'approved' | 'denied', now: number): string {
    if (this.state === 'none') return 'nothing'
    if (this.state !== 'pending' || this.endsAt <= now) {
      this.told.late += 1
      return 'approvals/already-answered'
    }
    this.told[as] += 1
    this.state = as
    return as
  }
}

type Bench = { approvals: Approvals; audit: Audit; clock: { at: number; now(): number } }

/** A call of its own each time, so that one database does for all. */
function createPlayer({ approvals, clock }: Bench) {
  const wanted = {
    binding: newId('binding'),
    userId: ALICE,
    gateway: 'demo',
    server: 'shop',
    tool: newId('tool'),
    rule: 'gateway:approve',
    note: null,
    arguments: { order: 'o1' },
  }
  let newest: string | null = null
  const answerAs = async (userId: string, answer: 'approve' | 'deny'): Promise<string> => {
    if (newest === null) return 'nothing'
    return (await approvals.answer(newest, answer, { userId, via: 'rest' })).state
  }
  const act = async (step: Step): Promise<string> => {
    switch (step) {
      case 'present': {
        const { approval, state } = await approvals.present(wanted)
        newest = approval.id
        return state
      }
      case 'approve':
      case 'deny':
        return answerAs(LEAD, step)
      case 'own-answer':
        return answerAs(ALICE, 'approve')
      case 'give-back': {
        if (newest === null || (await approvals.look(newest)).state !== 'used') return 'nothing'
        await approvals.giveBack(newest)
        return 'returned'
      }
      case 'half-time':
      case 'full-time':
        clock.at += step === 'half-time' ? EXPIRES_MS / 2 : EXPIRES_MS
        return 'time'
    }
  }
  return {
    tool: wanted.tool,
    take: (step: Step) => act(step).catch((error: unknown) => (isProblem(error) ? error.kind.code : String(error))),
  }
}

async function openBench(): Promise<Bench & AsyncDisposable> {
  const place = await openTestStorage({
    engine: 'sqlite',
    migrations: { ...AUDIT_MIGRATIONS, ...APPROVALS_MIGRATIONS },
  })
  const clock = { at: 1_800_000_000_000, now: () => clock.at }
  const { storage } = place
  const audit = await createAudit({ storage, clock, log: SILENT, dataDir: place.place.dataDir })
  const client = createEgress().open({ trusted: true, allow: [] })
  const config = approvalsConfig.parse({ expires_ms: EXPIRES_MS })
  const common = { storage, clock, log: SILENT, metrics: createMetrics(), audit, client, config, seal: createSeal() }
  const approvals = createApprovals({ ...common, publicUrl: () => 'https://house.example', findMember: () => null })
  const close = async (): Promise<void> => {
    approvals.close()
    await audit.close()
    await client.close()
    await place.close()
  }
  return { approvals, audit, clock, [Symbol.asyncDispose]: close }
}

function createSeal() {
  const key = randomBytes(32)
  return {
    seal: (context: string, value: JsonObject): string =>
      encrypt({ key, context }, Buffer.from(JSON.stringify(value))).toString('base64url'),
    open: (context: string, text: string): JsonObject | null => {
      const opened: unknown = JSON.parse(String(decrypt({ key, context }, Buffer.from(text, 'base64url'))))
      return isJsonObject(opened) ? opened : null
    },
  }
}

async function storyOf(audit: Audit, tool: string) {
  const { records } = await audit.search({ tool }, { limit: 1_000 })
  const count = (what: string, decision: string): number =>
    records.filter((one) => one.what === `approval.${what}` && one.decision === decision).length
  const [requested, approved, denied, used, returned] = ['requested', 'approved', 'denied', 'used', 'returned'].map(
    (what) => count(what, 'allowed'),
  )
  const late = count('approved', 'failed') + count('denied', 'failed')
  return { requested, approved, denied, used, returned, late, expired: count('expired', 'allowed') }
}

test('whatever happens to an approval in whatever order, it says what it must, and each event has one record', async () => {
  await using bench = await openBench()

  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { minLength: 1, maxLength: 14 }), async (steps) => {
      const model = new Model()
      const player = createPlayer(bench)
      for (const step of steps)
        expect([step, await player.take(step)]).toEqual([step, model.take(step, bench.clock.at)])
      const { expired, ...story } = await storyOf(bench.audit, player.tool)
      expect(story).toEqual(model.told)
      expect(expired).toBeLessThanOrEqual(story.requested ?? 0)
    }),
    { numRuns: 60 },
  )
})
