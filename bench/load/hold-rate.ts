import { z } from 'zod'
import { callBody, callOptions, openConnection, send, target, whyWrong } from './target.ts'

const order = z.object({ target, perSecond: z.number(), forMs: z.number(), connections: z.number() })

/**
 * Open loop: a call begins at its time whether or not those before it were answered, so that a slow answer cannot hide
 * by keeping the next question back. Tells the latencies in milliseconds, sorted.
 */
export async function holdRate(given: unknown): Promise<{ latencies: number[]; failures: string[] }> {
  const { target: to, perSecond, forMs, connections } = order.parse(given)
  const clients = Array.from({ length: connections }, () => openConnection(to.url))
  const total = Math.round((perSecond * forMs) / 1000)
  const options = callOptions(to)
  const latencies: number[] = []
  const failures: string[] = []
  const all = Promise.withResolvers<void>()
  const started = performance.now()
  let begun = 0
  const begin = (): void => {
    const due = Math.min(total, Math.floor(((performance.now() - started) * perSecond) / 1000))
    for (; begun < due; begun += 1) {
      const client = clients[begun % connections]
      const at = performance.now()
      if (client === undefined) continue
      send(client, { ...options, body: callBody(to, begun) }, (answer) => {
        const wrong = whyWrong(answer)
        if (wrong !== null) failures.push(wrong)
        latencies.push(performance.now() - at)
        if (latencies.length === total) all.resolve()
      })
    }
  }
  const timer = setInterval(begin, 1)
  await all.promise
  clearInterval(timer)
  await Promise.all(clients.map((client) => client.close()))
  return { latencies: latencies.sort((a, b) => a - b), failures: failures.slice(0, 10) }
}
