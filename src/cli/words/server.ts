import type { Api } from '../reach.ts'
import { count } from './print.ts'
import { nextTry } from './times.ts'

type ServerInfo = Awaited<ReturnType<Api['checkServer']>>

/** Why it is not healthy, when it is asked again, and what waits for an admin; empty when all is well. */
export function whyNot({ health, held }: ServerInfo, now: number): string {
  const again = nextTry(health.retryAt, now)
  const waiting = held.length === 0 ? '' : `${count(held.length, 'tool')} held`
  return [`${health.reason}${again}`.trim(), waiting].filter((part) => part !== '').join('; ')
}

/** How a server is, in one line. */
export function describeServer(server: ServerInfo, now: number): string {
  const { name, health } = server
  const why = whyNot(server, now)
  return `${name} is ${health.state} with ${count(health.tools, 'tool')}${why === '' ? '' : `: ${why}`}.\n`
}
