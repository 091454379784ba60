/**
 * Runs the public MCP conformance suite against a URL and reads its verdicts. The suite is a command-line program, so
 * it is started as one; what it found is read from the files it leaves, not from what it prints.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as z from 'zod'

export type Requirements = '2025-11-25' | '2026-07-28'

const checkSchema = z.object({
  id: z.string(),
  status: z.string(),
  name: z.string(),
  errorMessage: z.string().optional(),
})
export type Check = z.infer<typeof checkSchema>

/** `passed` means that it ran at least one check and none failed. Only `required` scenarios count for conformance. */
export type Scenario = {
  readonly name: string
  readonly required: boolean
  readonly passed: boolean
  readonly checks: readonly Check[]
}
export type SuiteReport = {
  readonly scenarios: readonly Scenario[]
  readonly exitCode: number
  readonly output: string
}

export const EXPECTED_FAILURES = join(import.meta.dirname, 'expected-failures.yml')

/** The suite gives each answer a second or two of its own, which a machine with other work may miss once, not twice. */
export const PATIENCE = { timeout: 240_000, retry: 1 }

/** Runs all scenarios of one requirement set. Other headers than the suite's own go through `headerShim`. */
export async function runSuite(suite: {
  url: string
  requirements: Requirements
  expectedFailures?: string
  timeoutMs?: number
}): Promise<SuiteReport> {
  await using folder = await temporaryFolder()
  const { exitCode, output } = await runProgram({
    args: commandLine(suite, folder.path),
    timeoutMs: suite.timeoutMs ?? 120_000,
  })
  const required = await requiredScenarios(suite.requirements)
  const found = await readResults(folder.path)
  const names = new Set([...required, ...found.keys()])
  const scenarios = [...names].map((name) => {
    const checks = found.get(name) ?? []
    const passed = checks.length > 0 && checks.every((check) => check.status !== 'FAILURE')
    return { name, required: required.has(name), passed, checks }
  })
  return { scenarios, exitCode, output }
}

/** The checks that differ between two runs, one line each: what a gateway changed, for better or worse. */
export function compareReports(direct: SuiteReport, through: SuiteReport): string[] {
  const left = verdicts(direct)
  const right = verdicts(through)
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((key) => left.get(key) !== right.get(key))
    .map((key) => `${key}: direct ${left.get(key) ?? 'absent'}, through ${right.get(key) ?? 'absent'}`)
    .toSorted()
}

/** The scenarios that count and did not pass, with the reasons: empty when the server conforms. */
export function failures(report: SuiteReport): string[] {
  return report.scenarios
    .filter((scenario) => scenario.required && !scenario.passed)
    .map(({ name, checks }) => {
      const reasons = checks.filter((check) => check.status === 'FAILURE')
      return `${name}: ${reasons.map((check) => `${check.id} (${check.errorMessage ?? ''})`).join('; ') || 'did not run'}`
    })
}

/** The failed checks of the scenarios that count, as `scenario / check`, in a stable order. */
export function failedChecks(report: SuiteReport): string[] {
  return report.scenarios
    .filter((scenario) => scenario.required && !scenario.passed)
    .flatMap(({ name, checks }) => {
      const failed = new Set(checks.filter((check) => check.status === 'FAILURE').map((check) => check.id))
      return failed.size === 0 ? [`${name} / did not run`] : [...failed].map((id) => `${name} / ${id}`)
    })
    .toSorted()
}

/** All statuses a check had within a scenario, in a stable order: some ids are reported more than once. */
function verdicts(report: SuiteReport): Map<string, string> {
  const byKey = new Map<string, string[]>()
  for (const { name, checks } of report.scenarios) {
    for (const check of checks.filter((one) => one.status !== 'INFO')) {
      const key = `${name} / ${check.id} / ${check.name}`
      byKey.set(key, [...(byKey.get(key) ?? []), check.status])
    }
  }
  return new Map([...byKey].map(([key, statuses]) => [key, statuses.toSorted().join(' ')]))
}

const packageFolder = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'))

function commandLine(suite: { url: string; requirements: Requirements; expectedFailures?: string }, folder: string) {
  const args = ['server', '--url', suite.url, '--requirements', suite.requirements, '-o', folder]
  return suite.expectedFailures === undefined ? args : [...args, '--expected-failures', suite.expectedFailures]
}

function runProgram({ args, timeoutMs }: { args: string[]; timeoutMs: number }) {
  return new Promise<{ exitCode: number; output: string }>((resolve, reject) => {
    const child = spawn(process.execPath, [join(packageFolder, 'dist/index.js'), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], NO_COLOR: '1' },
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    })
    let output = ''
    const collect = (chunk: Buffer) => (output += chunk.toString())
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.once('error', reject)
    child.once('close', (code) => resolve({ exitCode: code ?? -1, output }))
  })
}

/** Each scenario leaves `server-<name>-<time>/checks.json`. */
async function readResults(folder: string): Promise<Map<string, Check[]>> {
  const found = new Map<string, Check[]>()
  for (const entry of await readdir(folder)) {
    const name = /^server-(?<name>.+)-\d{4}-\d{2}-\d{2}T[\d-]+Z$/.exec(entry)?.groups?.['name']
    if (name === undefined) continue
    const text = await readFile(join(folder, entry, 'checks.json'), 'utf8')
    found.set(name, z.array(checkSchema).parse(JSON.parse(text)))
  }
  return found
}

/** Reads the list under `server:` from the suite's own frozen file; its YAML is a plain list, so no parser is needed. */
async function requiredScenarios(requirements: Requirements): Promise<Set<string>> {
  const text = await readFile(join(packageFolder, 'requirements', `${requirements}.yaml`), 'utf8')
  const section = /^server:\n(?<list>(?: {2}.*\n|\s*#.*\n|\n)*)/m.exec(text)?.groups?.['list'] ?? ''
  const names = [...section.matchAll(/^ {2}- (\S+)/gm)].map((match) => match[1] ?? '')
  if (names.length === 0) throw new Error(`the suite lists no server scenarios for ${requirements}`)
  return new Set(names)
}

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), 'conformance-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
