import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { join, dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { freePort } from '../fakes/listen.ts'
import { register, textOf } from './oauth-client.ts'
import { openBrowser } from '../../src/signin/testing/browser.ts'
import { addPerson, answer, type Answering } from './person.ts'
import { REFERENCE } from './kit.ts'
import { startHouse } from './start-house.ts'
import { gatewayUrl } from './talk.ts'

const PACKAGE = createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json')
const PROGRAM = join(dirname(PACKAGE), 'dist/index.js')

/** Runs the suite; the person opens the address that it prints for a browser. */
async function runSuite(person: Answering, args: readonly string[]): Promise<{ exitCode: unknown; output: string }> {
  const child = spawn(process.execPath, [PROGRAM, 'authorization', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const output: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    output.push(line)
    if (/^http\S+[?&]code_challenge=/.test(line)) await fetch(await answer(person, { url: line }))
  }
  const [exitCode] = await exited
  return { exitCode, output: output.join('\n') }
}

test.each<[string, (url: string) => string[]]>([
  ['for a gateway', (url) => ['--resource', url]],
  ['for no resource', () => []],
])('the conformance suite for authorization servers passes, %s and with no scope', async (_what, resource) => {
  await using house = await startHouse({ toml: REFERENCE })
  await house.listed()
  const ada = await addPerson(house, 'ada@example.com')
  const port = await freePort()
  const redirects = { redirect_uris: [`http://127.0.0.1:${port}/callback`] }
  const clientId = textOf((await register(house, redirects)).body['client_id'])
  const args = ['--url', house.url, '--client-id', clientId, '-p', String(port)]

  const { exitCode, output } = await runSuite({ ...ada, browser: openBrowser(house.url) }, [
    ...args,
    ...resource(gatewayUrl(house, 'demo')),
  ])

  expect(output).toContain('Total: 3 passed, 0 failed')
  expect(exitCode).toBe(0)
})
