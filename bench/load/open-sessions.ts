import { z } from 'zod'
import type { Client } from 'undici'
import { callOptions, openConnection, send, target, type Target } from './target.ts'

const order = z.object({ target, count: z.number() })
const CONNECTIONS = 16

/** Introduces itself `count` times and leaves every session idle. */
export async function openSessions(given: unknown): Promise<{ opened: number; first: string | null }> {
  const { target: to, count } = order.parse(given)
  const clients = Array.from({ length: CONNECTIONS }, () => openConnection(to.url))
  let [left, opened] = [count, 0]
  let first: string | null = null
  const inTurn = async (client: Client): Promise<void> => {
    for (; left > 0;) {
      left -= 1
      const session = await initialize(client, to)
      first ??= session
      opened += 1
    }
  }
  await Promise.all(clients.map(inTurn))
  await Promise.all(clients.map((client) => client.close()))
  return { opened, first }
}

const BODY = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'bench', version: '1' } },
})

function initialize(client: Client, to: Target): Promise<string> {
  return new Promise((resolve, reject) => {
    send(client, { ...callOptions(to), body: BODY }, (answer, headers) => {
      const session = headers['mcp-session-id']
      if (answer instanceof Error) return reject(answer)
      if (typeof session === 'string') return resolve(session)
      reject(new Error(`no session: ${answer.status} ${answer.body.toString('utf8').slice(0, 300)}`))
    })
  })
}
