import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { keepFile, Problem } from '#kernel'
import { keyTextOf } from './keyring.ts'
import { BAD_ADMIN_TOKEN } from './problems.ts'

/** What the command line on this machine uses to talk to the running house: whoever may read the file is admin. */
export type AdminToken = {
  readonly file: string
  /** For the one line that sends it. */
  reveal(): string
  /** True for `Bearer <token>` and the bare token; takes the same time whatever is sent. */
  matches(authorization: string | undefined): boolean
}

/** Reads the token of this data directory, and makes it (0600) on first use. */
export async function ensureAdminToken(dataDir: string): Promise<AdminToken> {
  const file = join(dataDir, 'admin-token')
  const text = await keepFile(file, () => `gha_${randomBytes(32).toString('base64url')}\n`)
  // A restored or copied file may have become readable for others.
  await chmod(file, 0o600)
  const token = text.trim()
  if (!/^gha_[A-Za-z0-9_-]{43}$/.test(token))
    throw new Problem(
      BAD_ADMIN_TOKEN,
      `The file ${file} does not hold an admin token. Remove it, and a new one is made.`,
    )
  const digest = digestOf(token)
  return {
    file,
    reveal: () => token,
    matches: (authorization) => timingSafeEqual(digestOf(keyTextOf(authorization).slice(0, 128)), digest),
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
