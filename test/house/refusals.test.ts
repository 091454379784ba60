import { expect, test } from 'vitest'
import { REFERENCE, openHouse } from './kit.ts'
import { ask, callTool, eventually, gatewayUrl, type Line } from './talk.ts'

const TOML = `${REFERENCE}
[[gateways]]
slug = "other"
tools = ["reference/*"]
`
const ADMIN = { userId: 'admin', keyId: null, face: 'rest' } as const

async function start() {
  const house = await openHouse({ toml: TOML })
  const made = await house.gatehouse.identity.createKey({ userId: 'alice@example.com', gateways: ['demo'] }, ADMIN)
  const line: Line = { url: gatewayUrl(house, 'demo'), key: made.key }
  const denied = () => house.gatehouse.audit.search({ decision: 'denied' }).then(({ records }) => records)
  return { house, made, line, denied }
}

test('who is not let in is in the audit trail, with the key where it is one of ours', async () => {
  const { house, made, line, denied } = await start()

  await callTool({ ...line, headers: { 'arcade-user-id': 'bob@example.com' } }, 'echo', { text: 'x' })
  await ask({ ...line, url: gatewayUrl(house, 'other') }, 'tools/list')
  await house.gatehouse.identity.revokeKey(made.id, ADMIN)
  await callTool(line, 'echo', { text: 'x' })
  await ask({ ...line, key: 'hunter2' }, 'tools/list')
  const records = await eventually(denied, ({ length }) => length === 4)

  expect(
    records.toReversed().map(({ gateway, keyId, userId, extra }) => [gateway, keyId, userId, extra?.['code']]),
  ).toEqual([
    ['demo', made.id, 'bob@example.com', 'identity/forbidden'],
    ['other', made.id, undefined, 'identity/forbidden'],
    ['demo', made.id, undefined, 'identity/key-revoked'],
    ['demo', undefined, undefined, 'identity/unauthenticated'],
  ])
  expect(records).toMatchObject(records.map(() => ({ what: 'gateway.entered', face: 'mcp' })))
  expect(JSON.stringify(records)).not.toContain('hunter2')
})

test('strangers who knock without end fill neither the trail nor its queue, and are counted', async () => {
  const { line, denied } = await start()
  const stranger = { ...line, key: 'gh_nobody' }

  await Promise.all(Array.from({ length: 300 }, () => ask(stranger, 'tools/list')))
  const crowd = (await denied()).length
  const { status } = await callTool(line, 'echo', { text: 'x' })
  const last = await eventually(
    async () => {
      await ask(stranger, 'tools/list')
      return (await denied())[0]
    },
    (record) => typeof record?.extra?.['leftOut'] === 'number',
  )

  expect(crowd).toBeLessThan(250)
  expect(status).toBe(200)
  expect(Number(last?.extra?.['leftOut'])).toBeGreaterThan(0)
})
