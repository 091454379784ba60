/** What many tests of a whole house begin with: a house that ends with its test, and those who come to it. */
import { onTestFinished } from 'vitest'
import { isJsonObject, type JsonObject } from '#kernel'
import { MIGRATIONS } from '../../src/main/index.ts'
import { createTestPlace, type TestEngine } from '../../src/storage/testing.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { ask, eventually, gatewayUrl, type Line } from './talk.ts'

/** The admin, for what a test does through the rooms themselves. */
export const ADMIN = { userId: 'admin', keyId: null, face: 'cli' } as const

/** The built-in reference server (`echo`, `add`, `whoami`, …) behind a gateway "demo". */
export const REFERENCE = `
  [[servers]]
  name = "reference"
  transport = "builtin"

  [[gateways]]
  slug = "demo"
  tools = ["reference/*"]
`

/** Starts a house that ends with the test, and resolves when it has listed its servers. */
export async function openHouse(options: Parameters<typeof startHouse>[0]): Promise<TestHouse> {
  const house = await startHouse(options)
  onTestFinished(() => house.close())
  await house.listed()
  return house
}

/** A user's way to a gateway: its address, and a key of theirs. */
export async function lineOf(house: TestHouse, user: string, gateway = 'demo'): Promise<Line & { key: string }> {
  return { url: gatewayUrl(house, gateway), key: await house.createKey({ user, gateway }) }
}

/** Starts replicas on one database, which end with the test: as many as are wanted on Postgres, and one on SQLite. */
export async function openReplicas(wanted: {
  toml: string
  count: number
  engine?: TestEngine
}): Promise<readonly [TestHouse, ...TestHouse[]]> {
  const { toml, count, engine = 'postgres' } = wanted
  const place = await createTestPlace(engine, MIGRATIONS)
  onTestFinished(() => place.remove())
  const open = (): Promise<TestHouse> => openHouse({ toml, storageUrl: place.url })
  const first = await open()
  const others = Array.from({ length: engine === 'sqlite' ? 0 : count - 1 }, open)
  return [first, ...(await Promise.all(others))]
}

/** A user's way to the gateway "demo" by each of the replicas; resolves when all of them know the key. */
export async function linesOf(replicas: readonly [TestHouse, ...TestHouse[]], user: string) {
  const { key } = await lineOf(replicas[0], user)
  const lines = replicas.map((house) => ({ url: gatewayUrl(house, 'demo'), key }) satisfies Line)
  await eventually(
    () => Promise.all(lines.map((line) => ask(line, 'tools/list'))),
    (all) => all.every(({ status }) => status === 200),
  )
  return lines
}

/** Whatever listens at an address and has an admin. */
type Reached = Pick<TestHouse, 'url' | 'adminToken'>

/** One request to a house by the admin of its machine: a GET, or a POST where there is a body. */
export async function askAdmin(
  { url, adminToken }: Reached,
  path: string,
  { body, method = body === undefined ? 'GET' : 'POST' }: { body?: unknown; method?: string } = {},
): Promise<{ status: number; text: string; body: JsonObject }> {
  const headers = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' }
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  const response = await fetch(`${url}${path}`, { method, headers, ...sent })
  const text = await response.text()
  const parsed: unknown = text.startsWith('{') ? JSON.parse(text) : {}
  return { status: response.status, text, body: isJsonObject(parsed) ? parsed : {} }
}

/** Says yes or no to a call that waits. */
export function answerApproval(house: Reached, id: string, answer: 'approve' | 'deny') {
  return askAdmin(house, `/api/v1/approvals/${id}/answer`, { body: { answer } })
}
