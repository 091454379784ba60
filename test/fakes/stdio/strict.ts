/** A program that tells who calls, when the gateway at `--issuer` says so to `--audience`; it answers no call without. */
import { isJsonObject } from '#kernel'
import { createIdentityCheck } from '../identity-check.ts'
import { legacyReply } from '../strict-upstream.ts'
import { serveLines, type LineMessage } from './line-server.ts'
import { option } from './options.ts'

const check = createIdentityCheck({ issuer: option('issuer') ?? '', audience: option('audience') ?? '' })
// As careless as some are: what it prints must not end in a log.
const careless = option('careless') !== undefined

serveLines((message) => void answer(message))

async function answer(message: LineMessage): Promise<void> {
  if (message.id === undefined) return
  if (careless) process.stderr.write(`got ${JSON.stringify(message)}\n`)
  if (message.method !== 'tools/call') return write(legacyReply({ ...message }, {}))
  const meta: unknown = Reflect.get(message.params ?? {}, '_meta')
  const checked = await check(isJsonObject(meta) ? meta['io.gatehouse/identity'] : undefined)
  if ('claims' in checked) return write(legacyReply({ ...message }, checked.claims))
  write({ jsonrpc: '2.0', id: message.id, error: { code: -32001, message: checked.reason } })
}

function write(message: object): void {
  process.stdout.write(`${JSON.stringify(message)}\n`)
}
