import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { z } from 'zod'

/** One process of the benchmark: its own pid, so that its CPU and memory are its own. */
export type Child = {
  readonly pid: number
  /** Sends an order and resolves with its reply, checked. Rejects when the child fails or takes longer than five minutes: a soak runs at a low priority. */
  ask<Reply>(order: string, given: object, reply: z.ZodType<Reply>): Promise<Reply>
  /** CPU spent since its start by all its threads, and its memory now. */
  usage(): Promise<Usage>
  stop(): Promise<void>
}

const usage = z.object({ cpuMicros: z.number(), rssBytes: z.number(), heapBytes: z.number(), peakRssBytes: z.number() })
export type Usage = z.output<typeof usage>

const message = z.object({ id: z.number(), reply: z.unknown().optional(), error: z.string().optional() })
const ORDER_TIMEOUT_MS = 300_000

/** Starts `bench/children/<name>.ts` and waits until it is ready. */
export async function startChild(name: string, given: object = {}): Promise<Child> {
  const child = fork(new URL(`children/${name}.ts`, import.meta.url), [JSON.stringify(given)], {
    execArgv: ['--expose-gc', '--no-warnings'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const orders = openOrders(child)
  await orders.ask('ready', {}, z.unknown())
  return {
    pid: child.pid ?? 0,
    ask: orders.ask,
    usage: () => orders.ask('usage', {}, usage),
    stop: async () => {
      if (child.exitCode !== null) return
      const gone = once(child, 'exit')
      child.disconnect()
      await gone
    },
  }
}

function openOrders(child: ChildProcess): Pick<Child, 'ask'> {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  let last = 0
  child.on('message', (sent) => {
    const { id, reply, error } = message.parse(sent)
    if (error === undefined) waiting.get(id)?.resolve(reply)
    else waiting.get(id)?.reject(new Error(error))
    waiting.delete(id)
  })
  child.on('exit', (code) => {
    for (const { reject } of waiting.values()) reject(new Error(`a process of the benchmark ended with ${code}`))
  })
  return {
    async ask(order, given, reply) {
      last += 1
      const answer = Promise.withResolvers<unknown>()
      waiting.set(last, answer)
      const late = setTimeout(() => answer.reject(new Error(`"${order}" took too long`)), ORDER_TIMEOUT_MS)
      child.send({ id: last, order, given })
      return reply.parse(await answer.promise.finally(() => clearTimeout(late)))
    },
  }
}
