/** What all five tests of the scorecard do alike: real clients at every replica, what they make of an answer, and the trail. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import * as z from 'zod'
import type { JsonObject } from '#kernel'
import type { McpFake } from '../../fakes/serve-mcp.ts'
import { clientKinds, type MatrixClient } from '../matrix/clients.ts'
import { eventually, toolNames, type Line } from '../talk.ts'
import { at, WITHIN_MS, type Enrolled, type Rig } from './rig.ts'

const names = z.object({ tools: z.array(z.object({ name: z.string() })) })
export const namesOf = (listed: JsonObject): string[] => names.parse(listed).tools.map(({ name }) => name)

export const callsOf = (fake: McpFake): number => fake.requests.entries.filter(({ rpc }) => rpc === 'tools/call').length

/** One client of each kind at each replica, until the test is over. */
export async function connectAll(who: Enrolled): Promise<MatrixClient[]> {
  const clients = await openAll(who)
  onTestFinished(async () => void (await Promise.all(clients.map((client) => client.close()))))
  return clients
}

/** The same for a whole suite, which closes them. */
export function openAll({ lines, connect }: Enrolled): Promise<MatrixClient[]> {
  return Promise.all(lines.flatMap((line) => clientKinds.map((kind) => connect(kind, line))))
}

/** What a client makes of it: the result, or the error in its own words. */
export function outcomeOf(client: MatrixClient, name: string, args: JsonObject = {}): Promise<JsonObject> {
  return orFailure(client.callTool(name, args))
}

export function orFailure(asked: Promise<JsonObject>): Promise<JsonObject> {
  return asked.catch((error: unknown) => {
    const { code, message, data } = z
      .object({ code: z.json(), message: z.string(), data: z.json().optional() })
      .parse(error)
    return { error: { code, message, ...(data === undefined ? {} : { data }) } }
  })
}

/** Resolves when every replica lists exactly these. */
export function allList({ lines }: Enrolled, wanted: readonly string[]) {
  return eventually(
    () => Promise.all(lines.map(toolNames)),
    (all) => all.every((listed) => JSON.stringify(listed) === JSON.stringify(wanted.toSorted())),
    WITHIN_MS,
  )
}

/** A call over REST: status and body. */
export async function callByRest(line: Line, tool: string, args: JsonObject = {}): Promise<string> {
  const response = await fetch(`${line.url.replace('/mcp/', '/api/v1/gateways/')}/call`, {
    method: 'POST',
    headers: { authorization: `Bearer ${line.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ tool, arguments: args }),
  })
  return `${response.status} ${await response.text()}`
}

/** A trace id of the caller's own choice, to find one call again. */
export function newTrace() {
  const traceId = crypto.randomUUID().replaceAll('-', '')
  return { traceId, meta: { traceparent: `00-${traceId}-${traceId.slice(16)}-01` } }
}

/**
 * The one record of the call with this trace id: found by trace id, and by user, tool, gateway, time, decision, rule and
 * `text` too, alike at every replica. Fails where one way does not lead to it.
 */
export async function findAgain(rig: Rig, traceId: string, text: string) {
  const { records } = await rig.first.api.searchAudit({ query: { traceId } })
  if (records.length !== 1) throw new Error(`${records.length} records of one call: ${JSON.stringify(records)}`)
  const record = at(records, 0)
  const { userId: user, tool, gateway, decision, at: time, extra } = record
  const rule = z.string().nullable().optional().parse(extra?.['rule']) ?? undefined
  const ways = [
    { user },
    { tool },
    { gateway },
    { since: time, until: time },
    { decision },
    ...(rule === undefined ? [] : [{ rule }]),
    { text },
  ]
  for (const { api } of rig.replicas)
    for (const way of [...ways.map((one) => ({ ...one })), Object.assign({}, ...ways)]) {
      const found = await api.searchAudit({ query: { ...way, limit: 1_000 } })
      if (!found.records.some((one) => JSON.stringify(one) === JSON.stringify(record)))
        throw new Error(`not found by ${JSON.stringify(way)}: ${JSON.stringify(record)}`)
    }
  return record
}

/** All that the house keeps of what happened: its logs, the whole trail, and what it counts. */
export async function everythingWritten({ replicas, first }: Rig): Promise<string> {
  const logs = await Promise.all(replicas.map(({ dataDir }) => readFile(join(dataDir, 'house.log'), 'utf8')))
  const lines = await Array.fromAsync(await first.api.exportAudit({ query: {} }))
  const metrics = await Promise.all(
    replicas.map(async ({ url, adminToken }) => {
      const response = await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${adminToken}` } })
      if (!response.ok) throw new Error(`no metrics: ${response.status}`)
      return response.text()
    }),
  )
  return JSON.stringify([logs, lines, metrics])
}
