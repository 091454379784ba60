/**
 * Stands for tools that must not run twice. `charge` is not idempotent and `lookup` is, as their annotations say; both
 * count how often they ran for each `order`, in memory and, where a file is named, as one line per execution, so that
 * the count survives a `kill -9` of whoever called.
 */
import { appendFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { McpServer } from '@modelcontextprotocol/server'
import * as z from 'zod'
import { createJournal, type Journal } from './observe.ts'
import { serveMcp, type Eras, type McpFake } from './serve-mcp.ts'

export type Execution = { readonly tool: 'charge' | 'lookup'; readonly order: string }

export type SideEffectServer = McpFake & {
  readonly executions: Journal<Execution>
  /** How often a tool has run for this order. */
  timesRun(tool: Execution['tool'], order: string): number
  /** From now on the effect happens at once and the answer comes this much later. */
  setLatency(ms: number): void
}

export async function startSideEffectServer(
  options: { eras?: Eras; port?: number; latencyMs?: number; logFile?: string } = {},
): Promise<SideEffectServer> {
  const executions = createJournal<Execution>()
  const counts = new Map<string, number>()
  let latencyMs = options.latencyMs ?? 0
  const execute = async (execution: Execution, signal: AbortSignal) => {
    const key = `${execution.tool} ${execution.order}`
    const times = (counts.get(key) ?? 0) + 1
    counts.set(key, times)
    if (options.logFile !== undefined) appendFileSync(options.logFile, `${JSON.stringify(execution)}\n`)
    executions.add(execution)
    // The effect stays even when the caller gives up: that is what makes a blind retry wrong.
    if (latencyMs > 0) await delay(latencyMs, undefined, { signal }).catch(() => undefined)
    return times
  }
  const { eras = 'both', port = 0 } = options
  const fake = await serveMcp({ eras, port, build: () => buildServer(execute) })
  return {
    ...fake,
    executions,
    timesRun: (tool, order) => counts.get(`${tool} ${order}`) ?? 0,
    setLatency: (ms) => void (latencyMs = ms),
  }
}

function buildServer(execute: (execution: Execution, signal: AbortSignal) => Promise<number>): McpServer {
  const mcp = new McpServer({ name: 'side-effects', version: '1.0.0' })
  const inputSchema = z.object({ order: z.string().max(200) })
  const charge = {
    description: 'Charges an order. Every call charges again.',
    inputSchema,
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false },
  }
  mcp.registerTool('charge', charge, async ({ order }, ctx) => {
    const times = await execute({ tool: 'charge', order }, ctx.mcpReq.signal)
    return { content: [{ type: 'text', text: `charged ${order}, time ${times}` }] }
  })
  const lookup = {
    description: 'Looks an order up.',
    inputSchema,
    annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true },
  }
  mcp.registerTool('lookup', lookup, async ({ order }, ctx) => {
    await execute({ tool: 'lookup', order }, ctx.mcpReq.signal)
    return { content: [{ type: 'text', text: `order ${order} is open` }] }
  })
  return mcp
}
