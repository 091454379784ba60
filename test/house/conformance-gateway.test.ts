import { describe, test } from 'vitest'
import { headerShim } from '../conformance/header-shim.ts'
import {
  compareReports,
  EXPECTED_FAILURES,
  failedChecks,
  failures,
  PATIENCE,
  runSuite,
  type Requirements,
} from '../conformance/run-suite.ts'
import { startConformanceServer } from '../fixtures/conformance-server.ts'
import { startHouse } from './start-house.ts'

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

// The fixture cuts its stream on purpose, and the gateway resumes it; the client's own stream is not cut for that, so
// this one check of the suite has nothing to look at.
const neverCut = [
  'server-sse-polling / server-sse-disconnect-resume / ServerDisconnectResume: direct SUCCESS, through absent',
]

type Run = { requirements: Requirements; inapplicable: readonly string[] }

const runs: Run[] = [
  { requirements: '2025-11-25', inapplicable: neverCut },
  { requirements: '2026-07-28', inapplicable: [] },
]

// The suite waits more than it works, so its runs stand side by side.
describe.concurrent('a gateway in front of the conformance fixture', () => {
  test.for(runs)(
    'passes $requirements, and answers every check as the fixture does',
    PATIENCE,
    async ({ requirements, inapplicable }, { expect }) => {
      await using alone = await startConformanceServer()
      await using fixture = await startConformanceServer()
      await using gateway = await startGatewayInFront(fixture.url)
      const suite = { requirements, expectedFailures: EXPECTED_FAILURES }

      const [direct, through] = await Promise.all([
        runSuite({ url: alone.url, ...suite }),
        runSuite({ url: gateway.url, ...suite }),
      ])

      expect(failures(through)).toEqual([])
      expect(through.exitCode, through.output).toBe(0)
      expect(compareReports(direct, through)).toEqual(inapplicable)
    },
  )
})

/**
 * What no gateway can mend, since the wire of 2025-11-25 does not say it:
 * - A server that checks before it asks (this fixture does) refuses a client without the capability by an ordinary tool
 *   error. Which capability that was, or that it was about one, is in its prose only; so no -32021. Had it asked all the
 *   same, the call would end with -32021 (`era-matrix-asks.test.ts`). We do not claim more upstream than the client can do
 *   to provoke the question: servers decide by it what they do instead of asking.
 * - The suite insists that the question has the key `user_name`. Questions of the session era have no key.
 */
const unsaidByLegacyServers = [
  'input-required-result-basic-elicitation / sep-2322-elicitation-incomplete',
  'server-stateless / sep-2575-missing-capability-http-400',
  'server-stateless / sep-2575-server-rejects-undeclared-capability',
]

// The suite speaks one era at a time, so an upstream of the other era puts our bridge under the same examination.
describe.concurrent('a gateway in front of a fixture of one era only', () => {
  const bridged = [
    { requirements: '2025-11-25', eras: 'modern', beyondReach: [] },
    { requirements: '2026-07-28', eras: 'modern', beyondReach: [] },
    { requirements: '2025-11-25', eras: 'legacy', beyondReach: [] },
    { requirements: '2026-07-28', eras: 'legacy', beyondReach: unsaidByLegacyServers },
  ] as const

  test.for(bridged)('passes $requirements with a $eras upstream', PATIENCE, async (bridge, { expect }) => {
    await using fixture = await startConformanceServer({ eras: bridge.eras })
    await using gateway = await startGatewayInFront(fixture.url)

    const report = await runSuite({ url: gateway.url, requirements: bridge.requirements })

    expect(failedChecks(report)).toEqual(bridge.beyondReach)
  })
})
