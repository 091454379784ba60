import { z } from 'zod'

/** What a process of the benchmark does when it is told to; every one can tell its usage. */
export type Orders = Readonly<Record<string, (given: unknown) => unknown>>

const message = z.object({ id: z.number(), order: z.string(), given: z.unknown() })

/** Takes orders from the parent until it lets go, then closes and exits. Orders sent before this are answered now. */
export function takeOrders(orders: Orders, close: () => Promise<void> = async () => {}): void {
  const all: Orders = { ready: () => null, usage: readUsage, ...orders }
  process.on('message', (sent) => void answer(all, message.parse(sent)))
  const leave = (): void => void close().finally(() => process.exit())
  process.on('disconnect', leave)
  // The parent may have given up while this was starting.
  if (!process.connected) leave()
}

/** What the parent gave on the command line. */
export function givenAtStart(): unknown {
  return JSON.parse(process.argv[2] ?? '{}')
}

async function answer(orders: Orders, { id, order, given }: z.output<typeof message>): Promise<void> {
  try {
    const run = orders[order]
    if (!run) throw new Error(`there is no order "${order}"`)
    tell({ id, reply: await run(given) })
  } catch (error) {
    tell({ id, error: error instanceof Error ? error.stack : String(error) })
  }
}

function tell(parent: object): void {
  if (process.connected) process.send?.(parent)
}

function readUsage() {
  const { user, system } = process.cpuUsage()
  const { rss, heapUsed, external } = process.memoryUsage()
  return { cpuMicros: user + system, rssBytes: rss, heapBytes: heapUsed + external, peakRssBytes: peakRss }
}

let peakRss = 0

/** Watches the memory of this process closely; the returned function ends it and tells the peak. */
export function watchMemory(): () => number {
  peakRss = process.memoryUsage.rss()
  const look = () => (peakRss = Math.max(peakRss, process.memoryUsage.rss()))
  const timer = setInterval(look, 1)
  return () => {
    clearInterval(timer)
    look()
    return peakRss
  }
}
