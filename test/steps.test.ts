import { afterEach, expect, test, vi } from 'vitest'
import { countTests, runSteps } from '../scripts/steps.ts'

const file = (status: string, ...tests: readonly string[]) => ({
  status,
  assertionResults: tests.map((result) => ({ status: result })),
})

function report(
  counts: Partial<Record<'Passed' | 'Failed' | 'Pending' | 'Todo', number>>,
  ...testResults: unknown[]
): string {
  const { Passed = 0, Failed = 0, Pending = 0, Todo = 0 } = counts
  const named = { numPassedTests: Passed, numFailedTests: Failed, numPendingTests: Pending, numTodoTests: Todo }
  return JSON.stringify({ ...named, testResults })
}

test.each([
  ['what passed and was skipped', report({ Passed: 5, Pending: 2, Todo: 1 }, file('passed')), 0, [5, 0, 3]],
  ['what failed', report({ Passed: 5, Failed: 2 }, file('failed', 'failed', 'passed')), 1, [5, 2, 0]],
  ['a file that could not be loaded', report({ Passed: 5 }, file('failed'), file('passed', 'passed')), 1, [5, 1, 0]],
  ['an error outside any test', report({ Passed: 5 }, file('passed', 'passed')), 1, [5, 1, 0]],
])('the count of tests includes %s', (_, json, status, [passed, failed, skipped]) => {
  expect(countTests(json, status)).toEqual({ passed, failed, skipped })
})

const exitCode = process.exitCode
afterEach(() => {
  process.exitCode = exitCode
  vi.restoreAllMocks()
})

test('every step runs, and the last line is the sum alone', async () => {
  const lines: string[] = []
  vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(...line.split('\n')))
  const step = (name: string, passed: number, failed: number, skipped: number) => ({
    name,
    run: async () => ({ passed, failed, skipped }),
  })

  await runSteps([step('a', 0, 1, 0), step('b', 7, 0, 2), step('c', 0, 0, 1)])

  expect(lines.at(-1)).toBe('7 passed, 1 failed, 3 skipped')
  expect(process.exitCode).toBe(1)
})
