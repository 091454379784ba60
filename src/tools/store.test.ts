import { expect, test } from 'vitest'
import { forEachEngine, openTestStorage } from '../storage/testing.ts'
import { toolsMigrations } from './migrations.ts'
import { claimOnce, finishOnce, toolsDb, trimOnce } from './store.ts'

forEachEngine((engine) => {
  test('one user’s kept outcomes stay within their quota, oldest first, and nobody else’s are touched', async () => {
    await using opened = await openTestStorage({ engine, migrations: toolsMigrations })
    const db = toolsDb(opened.storage)
    const keep = async (owner: string, at: number) => {
      const key = `${owner}-${at}`
      const row = { key, owner, request_hash: 'h', replica: 'r', started_at: at, expires_at: 1_000 }
      await claimOnce(db, row)
      await finishOnce(db, key, { state: 'done', outcome: 'x'.repeat(10), bytes: 10 })
    }
    for (const at of [1, 2, 3, 4, 5]) await keep('mallory', at)
    for (const at of [1, 2, 3, 4, 5]) await keep('alice', at)

    await trimOnce(db, 'mallory', { rows: 4, bytes: 25 })

    const rows = await db.selectFrom('tools_once').select(['key', 'outcome']).orderBy('key').execute()
    const kept = rows.map(({ key, outcome }) => (outcome === null ? `${key} empty` : key))
    expect(kept.filter((key) => key.startsWith('mallory'))).toEqual([
      'mallory-2 empty',
      'mallory-3 empty',
      'mallory-4',
      'mallory-5',
    ])
    expect(kept.filter((key) => key.startsWith('alice'))).toHaveLength(5)
  })
})
