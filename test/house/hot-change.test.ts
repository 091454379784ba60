import { expect, test } from 'vitest'
import { startHangingInCalls } from '../fakes/bad-neighbours.ts'
import { startChangingServer } from '../fakes/changing-server.ts'
import { startEchoUpstream } from '../fakes/echo-upstream.ts'
import { lineOf, openHouse } from './kit.ts'
import { type TestHouse } from './start-house.ts'
import { callTool, eventually, openSession, textOf, toolNames, type Heard, type Line } from './talk.ts'

const ADMIN = { userId: 'admin', keyId: null, face: 'rest' } as const
const WITHIN_MS = 1_000

async function houseWith(echoUrl: string): Promise<{ house: TestHouse; line: Line }> {
  const house = await openHouse({
    toml: `
      [[servers]]
      name = "echo"
      transport = "http"
      url = "${echoUrl}"

      [[gateways]]
      slug = "demo"
      tools = ["*"]
    `,
  })
  return {
    house,
    line: await lineOf(house, 'a@b.c'),
  }
}

/** Calls `echo` on four lanes, in both eras, until stopped; at most 4,000 times. */
async function startLoad(line: Line): Promise<{ stop(): Promise<Heard[]> }> {
  const session = await openSession(line)
  const heard: Heard[] = []
  let isOver = false
  const lane = async (call: (text: string) => Promise<Heard>): Promise<void> => {
    while (!isOver && heard.length < 4_000) heard.push(await call(`call ${heard.length}`))
  }
  const lanes = [
    lane((text) => callTool(line, 'echo', { text })),
    lane((text) => callTool(line, 'echo', { text })),
    lane((text) => session.call('echo', { text })),
    lane((text) => session.call('echo', { text })),
  ]
  return {
    stop: async () => {
      isOver = true
      await Promise.all(lanes)
      return heard
    },
  }
}

function droppedAmong(heard: readonly Heard[]): Heard[] {
  return heard.filter((one) => one.status !== 200 || !textOf(one).startsWith('call '))
}

function serverAt(name: string, url: string) {
  return { name, transport: 'http', url, allow_addresses: ['127.0.0.1'] }
}

test('servers come, change and go under load: no call to others is dropped, and each change is seen within a second', async () => {
  await using echo = await startEchoUpstream()
  await using other = await startChangingServer([{ name: 'first', description: 'One.' }])
  const { house, line } = await houseWith(echo.url)
  const admin = house.gatehouse.toolsAdmin
  const load = await startLoad(line)
  const sees = (wanted: (names: string[]) => boolean) => eventually(() => toolNames(line), wanted, WITHIN_MS)

  for (let round = 0; round < 5; round += 1) {
    await other.setTools([{ name: 'first', description: 'One.' }], { silent: true })
    await admin.addServer(ADMIN, serverAt('other', other.url))
    await sees((names) => names.includes('first'))
    await other.setTools([{ name: 'second', description: 'Two.' }])
    await sees((names) => names.includes('second') && !names.includes('first'))
    await admin.addGateway(ADMIN, { slug: `extra-${round}`, tools: ['other/*'] })
    await admin.removeGateway(ADMIN, `extra-${round}`)
    await admin.removeServer(ADMIN, 'other')
    await sees((names) => !names.includes('second'))
  }
  const heard = await load.stop()

  expect(await house.gatehouse.metrics.render()).not.toContain('server="other"')
  expect(heard.length).toBeGreaterThan(100)
  expect(droppedAmong(heard)).toEqual([])
})

test('removing a server ends its calls clearly, and at once', async () => {
  await using echo = await startEchoUpstream()
  await using hanging = await startHangingInCalls()
  const { house, line } = await houseWith(echo.url)
  await house.gatehouse.toolsAdmin.addServer(ADMIN, serverAt('hanging', hanging.url))
  const name = await eventually(
    async () => (await toolNames(line)).find((tool) => tool !== 'echo'),
    (found) => found !== undefined,
  )
  const running = callTool(line, name ?? '', { text: 'x' })
  await hanging.seen.until(({ rpc }) => rpc === 'tools/call')

  const removedAt = performance.now()
  await house.gatehouse.toolsAdmin.removeServer(ADMIN, 'hanging')
  const ended = await running

  expect(performance.now() - removedAt).toBeLessThan(1_000)
  expect(ended.result['isError']).toBe(true)
  expect(textOf(ended)).toMatch(/server "hanging" .*(removed|closed)/i)
  const { records } = await house.gatehouse.audit.search({ server: 'hanging', what: 'tools/call' })
  expect(records).toMatchObject([{ decision: 'failed', server: 'hanging' }])
})
