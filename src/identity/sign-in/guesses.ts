import { hash } from 'node:crypto'
import { sql } from 'kysely'
import type { Storage } from '#storage'

type GuessRow = { bucket: string; failures: number; last_at: number; blocked_until: number }
type GuessTables = { identity_guess: GuessRow }

/** How one kind of guessing is slowed down. */
export type GuessRule = {
  /** So many wrong guesses cost nothing. */
  readonly free: number
  /** From then on the pause doubles with each one, from this … */
  readonly firstPauseMs: number
  /** … up to this. */
  readonly longestPauseMs: number
  /** Wrong guesses are forgotten after so long without one. */
  readonly memoryMs: number
}
export type Bucket = { readonly key: string; readonly rule: GuessRule }

export type Guesses = {
  /**
   * Counts an attempt before it is made, so that many at once cannot slip through together: null when it may be made,
   * or the time from which one may be made again. The count is in the database, so all replicas agree.
   */
  begin(buckets: readonly Bucket[], now: number): Promise<number | null>
  /**
   * The attempt was right: `forgotten` starts anew, `spared` were not wrong guesses after all, and `undone` is as it was
   * before the attempt, without the pause that it began.
   */
  right(outcome: Readonly<Record<'forgotten' | 'spared' | 'undone', readonly Bucket[]>>): Promise<void>
  /** Removes what is older than any rule remembers. */
  sweep(before: number): Promise<void>
}

/** Every query about guesses. Names and addresses are kept as hashes only. */
export function createGuesses(storage: Storage): Guesses {
  const db = storage.tables<GuessTables>()
  const count = async ({ key, rule }: Bucket, now: number): Promise<Pick<GuessRow, 'failures' | 'blocked_until'>> =>
    db
      .insertInto('identity_guess')
      .values({ bucket: bucketOf(key), failures: 1, last_at: now, blocked_until: 0 })
      .onConflict((conflict) =>
        conflict.column('bucket').doUpdateSet({
          failures: sql<number>`case when identity_guess.last_at < ${now - rule.memoryMs}
            then 1 else identity_guess.failures + 1 end`,
          last_at: now,
        }),
      )
      .returning(['failures', 'blocked_until'])
      .executeTakeFirstOrThrow()
  /** Beyond the free guesses, whoever sets the next pause may guess; all others come too early. */
  const claim = async (bucket: Bucket, failures: number, now: number): Promise<boolean> => {
    const result = await db
      .updateTable('identity_guess')
      .set({ blocked_until: now + pauseOf(bucket.rule, failures) })
      .where('bucket', '=', bucketOf(bucket.key))
      .where('blocked_until', '<=', now)
      .executeTakeFirst()
    return result.numUpdatedRows > 0n
  }
  return {
    begin: async (buckets, now) => {
      for (const bucket of buckets) {
        const { failures, blocked_until } = await count(bucket, now)
        if (blocked_until > now) return blocked_until
        if (failures > bucket.rule.free && !(await claim(bucket, failures, now)))
          return now + pauseOf(bucket.rule, failures)
      }
      return null
    },
    right: async ({ forgotten, spared, undone }) => {
      for (const { key } of forgotten)
        await db
          .updateTable('identity_guess')
          .set({ failures: 0, blocked_until: 0 })
          .where('bucket', '=', bucketOf(key))
          .execute()
      for (const { key } of undone)
        await db.updateTable('identity_guess').set({ blocked_until: 0 }).where('bucket', '=', bucketOf(key)).execute()
      for (const { key } of [...spared, ...undone])
        await db
          .updateTable('identity_guess')
          .set({ failures: sql<number>`failures - 1` })
          .where('bucket', '=', bucketOf(key))
          .where('failures', '>', 0)
          .execute()
    },
    sweep: async (before) => {
      await db.deleteFrom('identity_guess').where('last_at', '<', before).execute()
    },
  }
}

function pauseOf(rule: GuessRule, failures: number): number {
  const doublings = Math.min(failures - rule.free - 1, 30)
  return Math.min(rule.firstPauseMs * 2 ** Math.max(0, doublings), rule.longestPauseMs)
}

function bucketOf(key: string): string {
  return hash('sha256', key, 'base64url')
}
