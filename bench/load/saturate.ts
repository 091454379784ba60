import { z } from 'zod'
import { callBody, callOptions, openConnection, send, target, whyWrong, type Target } from './target.ts'
import type { Client } from 'undici'

const order = z.object({ target, connections: z.number(), forMs: z.number(), atMost: z.number().default(Infinity) })

/** Closed loop: each connection makes its next call when the last one is answered, for a time or a number of calls. */
export async function saturate(given: unknown): Promise<{ calls: number; seconds: number; failures: string[] }> {
  const { target: to, connections, forMs, atMost } = order.parse(given)
  const clients = Array.from({ length: connections }, () => openConnection(to.url))
  const started = performance.now()
  const tally: Tally = { calls: 0, failures: [], until: started + forMs, atMost }
  await Promise.all(clients.map((client) => callInTurn(client, to, tally)))
  const seconds = (performance.now() - started) / 1000
  await Promise.all(clients.map((client) => client.close()))
  return { calls: tally.calls, seconds, failures: tally.failures }
}

type Tally = { calls: number; failures: string[]; until: number; atMost: number }
let lastId = 0

function callInTurn(client: Client, to: Target, tally: Tally): Promise<void> {
  const options = callOptions(to)
  return new Promise((resolve) => {
    const next = (): void => {
      if (performance.now() >= tally.until || tally.calls >= tally.atMost) return resolve()
      if (tally.failures.length > 10) return resolve()
      lastId += 1
      send(client, { ...options, body: callBody(to, lastId) }, (answer) => {
        const wrong = whyWrong(answer)
        if (wrong === null) tally.calls += 1
        else tally.failures.push(wrong)
        next()
      })
    }
    next()
  })
}
