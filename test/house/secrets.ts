/** Looks for secrets in everything that a house wrote and said, however they are spelt there. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestHouse } from './start-house.ts'

/** One exchange as it went over the wire. */
export type Exchange = {
  readonly url: string
  readonly status: number
  readonly headers: Headers
  readonly body: string
}

/** The secret as text, in hex, percent-encoded, and in base64 at each of the three places where it can begin. */
export function spellings(secret: string | Uint8Array): string[] {
  const bytes = Buffer.from(secret)
  const encoded = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
    // The outermost characters also carry bits of what stands before and behind.
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6))
  })
  const all = [
    bytes.toString('latin1'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...encoded,
    ...encoded.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    ...(typeof secret === 'string'
      ? [encodeURIComponent(secret), new URLSearchParams([['', secret]]).toString().slice(1)]
      : []),
  ]
  return [...new Set(all)]
}

export type Secrets = Readonly<Record<string, string | Uint8Array>>

/** Which secrets stand where. */
export function leaks(texts: Readonly<Record<string, string>>, secrets: Secrets): string[] {
  const known = Object.entries(secrets).map(([name, secret]) => [name, spellings(secret)] as const)
  return Object.entries(texts).flatMap(([place, text]) =>
    known.filter(([, all]) => all.some((one) => text.includes(one))).map(([name]) => `${name} in ${place}`),
  )
}

/** Everything that a house keeps: each file of its data directory, byte for byte, and the whole database as lines. */
export async function keptBy(house: TestHouse): Promise<Record<string, string>> {
  await house.gatehouse.storage.backup(join(house.dataDir, 'everything.jsonl'))
  const files = readdirSync(house.dataDir, { recursive: true, withFileTypes: true }).filter((file) => file.isFile())
  return Object.fromEntries(
    files.map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name)).toString('latin1')]),
  )
}

/** What a house says to an admin about itself. */
export async function toldBy(house: TestHouse): Promise<Record<string, string>> {
  const read = async (path: string): Promise<string> => {
    const answer = await fetch(`${house.url}${path}`, { headers: { authorization: `Bearer ${house.adminToken}` } })
    return `${answer.status} ${await answer.text()}`
  }
  const paths = [
    '/metrics',
    '/health',
    '/api/v1/audit?limit=200',
    '/api/v1/audit/export',
    '/api/v1/keys',
    '/api/v1/accounts',
    '/api/v1/servers',
    '/api/v1/identity-sources',
    '/api/v1/signing-keys',
    '/openapi.json',
  ]
  const answers = await Promise.all(paths.map(async (path) => [path, await read(path)] as const))
  return { ...Object.fromEntries(answers), log: house.logs.join('\n') }
}
