import { expect, onTestFinished, test } from 'vitest'
import { startExpiring, startRestartable } from '../fakes/bad-neighbours.ts'
import { connectClient, callText } from '../fakes/connect.ts'
import { startCounterServer } from '../fakes/counter-server.ts'
import type { Era, Eras } from '../fakes/serve-mcp.ts'
import { openHouse } from './kit.ts'
import { eventually, gatewayUrl } from './talk.ts'

/** A house in front of these servers, named in order `s1`, `s2`, …, whose tools are `s1_increment` and so on. */
async function houseOf(urls: readonly string[]) {
  const servers = urls.map((url, at) => `[[servers]]\nname = "s${at + 1}"\ntransport = "http"\nurl = "${url}"\n`)
  const overrides = urls.map(
    (_, at) => `[[gateways.overrides]]\ntool = "s${at + 1}/increment"\nname = "s${at + 1}_increment"\n`,
  )
  const house = await openHouse({
    toml: `${servers.join('\n')}\n[[gateways]]\nslug = "demo"\ntools = ["*"]\n${overrides.join('\n')}`,
    timing: { firstRetryMs: 100, maxRetryMs: 400 },
  })
  return house
}

async function connectTo(house: Awaited<ReturnType<typeof houseOf>>, era: Era) {
  const key = await house.createKey({ user: 'alice@example.com', gateway: 'demo' })
  const client = await connectClient(gatewayUrl(house, 'demo'), { era, headers: { authorization: `Bearer ${key}` } })
  onTestFinished(() => client.close())
  return client
}

async function startCounters(count: number, eras: Eras) {
  const counters = await Promise.all(
    Array.from({ length: count }, () => startRestartable((port) => startCounterServer({ port, eras }))),
  )
  onTestFinished(async () => void (await Promise.all(counters.map((counter) => counter.close()))))
  return counters
}

const CELLS = [
  { client: 'legacy', upstream: 'legacy' },
  { client: 'legacy', upstream: 'modern' },
  { client: 'modern', upstream: 'legacy' },
  { client: 'modern', upstream: 'modern' },
] as const

test.for(CELLS)(
  'a $client client calls a restarted $upstream server at once, and the other four notice nothing',
  async (cell) => {
    const counters = await startCounters(5, cell.upstream)
    const house = await houseOf(counters.map(({ url }) => url))
    const client = await connectTo(house, cell.client)
    const callAll = () => Promise.all([1, 2, 3, 4, 5].map((n) => callText(client, `s${n}_increment`)))
    const before = await callAll()
    const others = (async () => {
      const texts: string[] = []
      for (let round = 0; round < 10; round += 1) {
        texts.push(...(await Promise.all([2, 3, 4, 5].map((n) => callText(client, `s${n}_increment`)))))
      }
      return texts
    })()

    await counters[0]?.stop()
    await counters[0]?.start()
    const next = await callText(client, 's1_increment')

    expect(before).toEqual(['1', '1', '1', '1', '1'])
    expect(next).toBe('1')
    expect((await others).toSorted((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 10 }, (_, round) => Array.from({ length: 4 }, () => String(round + 2))).flat(),
    )
    expect(await callText(client, 's2_increment')).toBe('12')
  },
)

test('a session that the server forgot is opened anew behind the call, and nothing is lost', async () => {
  await using expiring = await startExpiring()
  await using steady = await startCounterServer({ eras: 'legacy' })
  const house = await houseOf([expiring.url, steady.url])
  const client = await connectTo(house, 'legacy')
  await callText(client, 'echo', { text: 'one' })
  const opened = expiring.opened

  expiring.expireSessions()
  const after = await callText(client, 'echo', { text: 'two' })

  expect(after).toContain('two')
  expect(expiring.opened).toBeGreaterThan(opened)
  expect(await callText(client, 's2_increment')).toBe('1')
})

test.for([
  { from: 'legacy', to: 'modern' },
  { from: 'modern', to: 'legacy' },
] as const)('a server that changes from $from to $to in place is called without any client action', async (change) => {
  let eras: Eras = change.from
  await using server = await startRestartable((port) => startCounterServer({ port, eras }))
  const house = await houseOf([server.url])
  const client = await connectTo(house, 'legacy')
  await callText(client, 's1_increment')

  await server.stop()
  eras = change.to
  await server.start()
  const after = await callText(client, 's1_increment')

  expect(after).toBe('1')
  await eventually(
    () => house.gatehouse.house.server('s1')?.health().era,
    (era) => era === change.to,
  )
})
