import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { headerShim } from '../conformance/header-shim.ts'
import { compareReports, EXPECTED_FAILURES, failures, PATIENCE, runSuite } from '../conformance/run-suite.ts'
import { startConformanceServer } from '../fixtures/conformance-server.ts'

const sets = [
  { requirements: '2025-11-25', required: 30 },
  { requirements: '2026-07-28', required: 37 },
] as const

describe.concurrent('the conformance fixture', () => {
  test.for(sets)(
    'passes $requirements directly, and the same behind the header shim',
    PATIENCE,
    async (set, { expect }) => {
      await using fixture = await startConformanceServer()
      await using shimmed = await startConformanceServer()
      await using shim = await headerShim({ target: shimmed.url, headers: { authorization: 'Bearer shim' } })
      const suite = { requirements: set.requirements, expectedFailures: EXPECTED_FAILURES }

      const [direct, through] = await Promise.all([
        runSuite({ url: fixture.url, ...suite }),
        runSuite({ url: shim.url, ...suite }),
      ])

      expect(failures(direct)).toEqual([])
      expect(direct.scenarios.filter((scenario) => scenario.required)).toHaveLength(set.required)
      expect(direct.exitCode, direct.output).toBe(0)
      expect(compareReports(direct, through)).toEqual([])
      expect(shimmed.requests.entries.filter((seen) => seen.headers.authorization !== 'Bearer shim')).toEqual([])
    },
  )
})

test('no failure is expected', async () => {
  const text = await readFile(EXPECTED_FAILURES, 'utf8')

  expect(text.split('\n').filter((line) => line.trim().startsWith('-'))).toEqual([])
})
