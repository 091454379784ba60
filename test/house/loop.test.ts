import { expect, test } from 'vitest'
import { startHouse } from './start-house.ts'
import { eventually } from './talk.ts'

const REFUSED = 'a house cannot be a server of its own'

test('a server that leads back to its own house is refused, and lists nothing', async () => {
  await using house = await startHouse({ toml: '[[gateways]]\nslug = "all"\ntools = ["*"]\n' })
  const key = await house.createKey({ user: 'ada@example.com', gateway: 'all' })
  const url = `${house.url}/mcp/all`

  await house.gatehouse.toolsAdmin.addServer(
    { userId: 'root', keyId: null, face: 'cli' },
    {
      name: 'self',
      transport: 'http',
      url,
      headers: { authorization: `Bearer ${key}` },
      allow_addresses: ['127.0.0.1'],
    },
  )
  const self = await eventually(
    () => house.gatehouse.toolsAdmin.listServers().find(({ name }) => name === 'self'),
    (server) => server !== undefined && server.health.state !== 'starting',
  )

  expect(self?.health).toMatchObject({ state: 'unreachable', tools: 0, reason: expect.stringContaining(REFUSED) })
})
