/** How a test looks for the secret of the leaky server: ask for all that there is, and read it as somebody would who wants it. */
import * as z from 'zod'
import { SECRET } from '../fakes/leaky-server.ts'
import type { MatrixClient } from './matrix/clients.ts'

/** Everything a client was told, or asked, by a server that tells too much. */
export async function hearAll(client: MatrixClient): Promise<string> {
  const steps: unknown[] = []
  await client.setLogLevel('debug')
  const told = await client.callTool('tell', {}, { onprogress: (step) => steps.push(step) })
  const answers = [
    told,
    await client.callTool('ask'),
    await client.callTool('sample'),
    await client.callTool('fail'),
    await client.request('resources/read', { uri: 'leaky://key' }),
    await client.request('resources/read', { uri: 'leaky://keys/mine' }),
    await client.request('resources/read', { uri: 'leaky://broken' }).catch((error: unknown) => failureOf(error)),
    await client.request('prompts/get', { name: 'write' }),
    await client.request('completion/complete', {
      ref: { type: 'ref/resource', uri: 'leaky://keys/{name}' },
      argument: { name: 'name', value: '' },
    }),
  ]
  return JSON.stringify([answers, steps, client.heard.entries, client.asked.entries])
}

function failureOf(error: unknown) {
  const { message, data, code } = z.object({ message: z.string(), data: z.unknown(), code: z.unknown() }).parse(error)
  return { message, data, code }
}

/** As somebody would look for it: without the disguise, and read where it is base64. */
export function timesIn(text: string): number {
  const plain = text.replaceAll('\u200b', '').replaceAll(/[A-Za-z0-9+/]{24,}={0,2}/g, (run) => {
    return `${run} ${Buffer.from(run, 'base64').toString('latin1')}`
  })
  return plain.split(SECRET).length - 1
}
