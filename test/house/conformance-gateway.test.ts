import { describe, expect, test } from 'vitest'
import { headerShim } from '../conformance/header-shim.ts'
import { compareReports, EXPECTED_FAILURES, failures, runSuite } from '../conformance/run-suite.ts'
import { startConformanceServer } from '../fixtures/conformance-server.ts'
import { startHouse } from './start-house.ts'

const sets = ['2025-11-25', '2026-07-28'] as const

/**
 * Starts the real house with the fixture as the only upstream of the gateway `conformance`, so that its tool names stay
 * as they are, and a shim that puts a key of that gateway on every request of the suite.
 */
async function startGatewayInFront(fixtureUrl: string) {
  const house = await startHouse({
    toml: `
      [[servers]]
      name = "fixture"
      transport = "http"
      url = "${fixtureUrl}"

      [[gateways]]
      slug = "conformance"
      tools = ["fixture/*"]
    `,
  })
  await house.listed()
  const key = await house.createKey({ user: 'conformance@example.com', gateway: 'conformance' })
  const shim = await headerShim({
    target: `${house.url}/mcp/conformance`,
    headers: { authorization: `Bearer ${key}` },
  })
  const close = async () => {
    await shim.close()
    await house.close()
  }
  return { url: shim.url, close, [Symbol.asyncDispose]: close }
}

describe('a gateway in front of the conformance fixture', () => {
  test.for(sets)(
    'passes %s, and answers every check as the fixture does',
    { timeout: 120_000 },
    async (requirements) => {
      await using alone = await startConformanceServer()
      await using fixture = await startConformanceServer()
      await using gateway = await startGatewayInFront(fixture.url)
      const suite = { requirements, expectedFailures: EXPECTED_FAILURES }

      const [direct, through] = await Promise.all([
        runSuite({ url: alone.url, ...suite }),
        runSuite({ url: gateway.url, ...suite }),
      ])

      expect(failures(through)).toEqual([])
      expect(through.exitCode).toBe(0)
      expect(compareReports(direct, through)).toEqual([])
    },
  )
})

// The suite speaks one era at a time, so an upstream of the other era puts our bridge under the same examination.
describe('a gateway in front of a fixture of one era only', () => {
  const bridged = [
    { requirements: '2025-11-25', eras: 'modern', beyondReach: [] },
    // A legacy server reports a capability that the client lacks as a tool error; nothing on the wire tells the gateway
    // to turn that into -32021, the one check of this scenario that then fails.
    { requirements: '2026-07-28', eras: 'legacy', beyondReach: ['server-stateless'] },
  ] as const

  test.for(bridged)('passes $requirements with a $eras upstream', { timeout: 120_000 }, async (bridge) => {
    await using fixture = await startConformanceServer({ eras: bridge.eras })
    await using gateway = await startGatewayInFront(fixture.url)

    const report = await runSuite({ url: gateway.url, requirements: bridge.requirements })

    const failed = failures(report).filter((line) => !bridge.beyondReach.some((name) => line.startsWith(`${name}:`)))
    expect(failed).toEqual([])
  })
})
