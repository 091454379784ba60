/**
 * The steps that decide whether a change is good: format, lint, types, generated files, tests.
 * `check.ts` and `test.ts` run the same list; every step runs even when one before it failed.
 */
import { spawn } from 'node:child_process'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { z } from 'zod'

export const root = dirname(import.meta.dirname)

export type Counts = { readonly passed: number; readonly failed: number; readonly skipped: number }
export type Step = { readonly name: string; readonly run: () => Promise<Counts> }

const PASSED: Counts = { passed: 1, failed: 0, skipped: 0 }
const FAILED: Counts = { passed: 0, failed: 1, skipped: 0 }
export const SKIPPED: Counts = { passed: 0, failed: 0, skipped: 1 }

/** The list, in order. `filters` are handed to vitest: file names or its options. */
export function houseSteps(filters: readonly string[]): readonly Step[] {
  return [
    tool('format', ['node_modules/.bin/oxfmt', '--check', '.']),
    tool('lint', ['node_modules/.bin/oxlint', '--type-aware', '--quiet']),
    tool('types', ['node_modules/.bin/tsc', '--checkers', '1', '-p', '.']),
    tool('generated files', ['scripts/generate.ts', '--check']),
    { name: 'tests', run: () => runTests(filters) },
  ]
}

/** Runs every step, says how long each took, prints the closing line and sets the exit status. */
export async function runSteps(steps: readonly Step[]): Promise<void> {
  const total = { passed: 0, failed: 0, skipped: 0 }
  for (const step of steps) {
    console.log(`\n== ${step.name}`)
    const started = performance.now()
    const counts = await step.run()
    console.log(`== ${step.name}: ${verdict(counts)} in ${((performance.now() - started) / 1000).toFixed(1)} s`)
    total.passed += counts.passed
    total.failed += counts.failed
    total.skipped += counts.skipped
  }
  console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
  process.exitCode = total.failed > 0 ? 1 : 0
}

function verdict({ failed, passed }: Counts): string {
  if (failed > 0) return 'FAILED'
  return passed > 0 ? 'ok' : 'skipped'
}

function tool(name: string, args: readonly string[]): Step {
  return { name, run: async () => ((await runCommand(process.execPath, args)) === 0 ? PASSED : FAILED) }
}

/** Runs one command in the root with its output shown and no input. Resolves with the exit status; null when it was killed. */
export function runCommand(
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number | null> {
  const path = `${dirname(process.execPath)}${delimiter}${process.env['PATH'] ?? ''}`
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, PATH: path, ...env },
    })
    child.once('error', reject)
    child.once('close', (status) => resolve(status))
  })
}

// --- vitest ---------------------------------------------------------------------------------------------------------

const report = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.object({ status: z.string() })) })),
})

async function runTests(filters: readonly string[]): Promise<Counts> {
  const file = join(root, '.cache', 'vitest.json')
  await mkdir(dirname(file), { recursive: true })
  await rm(file, { force: true })
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const status = await runCommand(process.execPath, ['node_modules/.bin/vitest', 'run', ...reporters, ...filters])
  const text = await readFile(file, 'utf8').catch(() => '')
  if (text === '') return FAILED
  return countTests(text, status)
}

/** Counts vitest's JSON report. A file that could not be loaded, or an error outside any test, is one failure. */
export function countTests(json: string, status: number | null): Counts {
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = report.parse(JSON.parse(json))
  const unloaded = testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  )
  const failed = numFailedTests + unloaded.length
  return {
    passed: numPassedTests,
    failed: failed === 0 && status !== 0 ? 1 : failed,
    skipped: numPendingTests + numTodoTests,
  }
}
