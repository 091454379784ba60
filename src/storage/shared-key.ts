import { randomBytes } from 'node:crypto'
import { sql, type Kysely } from 'kysely'
import { Problem } from '#kernel'
import type { AnyDatabase } from './engine.ts'
import { BAD_SECRET_NAME } from './problems.ts'

const NAME = /^[a-z0-9][a-z0-9._-]{0,99}$/

/** Each key is made by whichever replica asks first; all others get the same. Kept in memory afterwards. */
export function createSharedKeys(db: Kysely<AnyDatabase>): (name: string) => Promise<Buffer> {
  const known = new Map<string, Buffer>()
  return async (name) => {
    checkName(name)
    const key = known.get(name) ?? (await readOrMake(db, name))
    known.set(name, key)
    return Buffer.from(key)
  }
}

async function readOrMake(db: Kysely<AnyDatabase>, name: string): Promise<Buffer> {
  const stored = await readKey(db, name)
  if (stored) return stored
  const value = randomBytes(32).toString('base64url')
  await sql`insert into storage_secret (name, value) values (${name}, ${value}) on conflict (name) do nothing`.execute(
    db,
  )
  const winner = await readKey(db, name)
  if (!winner) throw new Error(`could not make the shared key ${name}: it is gone right after it was stored`)
  return winner
}

async function readKey(db: Kysely<AnyDatabase>, name: string): Promise<Buffer | undefined> {
  const { rows } = await sql<{ value: string }>`select value from storage_secret where name = ${name}`.execute(db)
  return rows[0] && Buffer.from(rows[0].value, 'base64url')
}

function checkName(name: string): void {
  if (NAME.test(name)) return
  throw new Problem(
    BAD_SECRET_NAME,
    `"${name.slice(0, 100)}" is not a name like "audit-checkpoint": 1 to 100 of a-z, 0-9, dot, dash, underscore.`,
  )
}
