import { z } from 'zod'
import { callBody, callOptions, openConnection, send, target } from './target.ts'

const order = z.object({ target, resultBytes: z.number() })

/** Asks for one result of at least so many bytes. */
export async function askOnce(given: unknown): Promise<{ milliseconds: number; bytes: number }> {
  const { target: to, resultBytes } = order.parse(given)
  const client = openConnection(to.url)
  const started = performance.now()
  const body = callBody(to, 1, { text: 'hello', resultBytes })
  const bytes = await new Promise<number>((resolve, reject) => {
    send(client, { ...callOptions(to), body }, (answer) => {
      if (answer instanceof Error) reject(answer)
      else if (answer.body.length < resultBytes) reject(new Error(answer.body.toString('utf8').slice(0, 300)))
      else resolve(answer.body.length)
    })
  })
  const milliseconds = performance.now() - started
  await client.close()
  return { milliseconds, bytes }
}
