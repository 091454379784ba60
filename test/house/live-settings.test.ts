import { request } from 'node:http'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { followConfig, readConfig } from '../../src/main/index.ts'
import { listen, readText } from '../fakes/listen.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { askAdmin } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'

async function restCall(house: TestHouse, tool: string, args: object = {}) {
  return askAdmin(house, '/api/v1/gateways/demo/call', { body: { tool, arguments: args, user: 'alice' } })
}

const builtin = '[[servers]]\nname = "reference"\ntransport = "builtin"\n'

test('a rate is refused with the time of the next call, and the refusal is recorded as denied', async () => {
  await using house = await startHouse({
    toml: `${builtin}[[gateways]]\nslug = "demo"\ntools = ["reference/*"]\n[[gateways.rate_limits]]\ncalls = 2\nseconds = 60\ntools = ["reference/echo"]\n`,
  })
  await house.listed()
  const calls = [
    await restCall(house, 'echo', { text: '1' }),
    await restCall(house, 'echo', { text: '2' }),
    await restCall(house, 'echo', { text: '3' }),
    await restCall(house, 'whoami'),
  ]
  const { records } = await house.gatehouse.audit.search({ what: 'tools/call' })

  expect(calls.map(({ text }) => text.includes('Too many calls'))).toEqual([false, false, true, false])
  expect(calls[2]?.text).toContain('tools/rate-limited')
  expect(records.map(({ decision }) => decision).toSorted()).toEqual(['allowed', 'allowed', 'allowed', 'denied'])
})

test('a changed config file is taken over without a restart; one with a mistake is not, and says its line', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'gatehouse-follow-'))
  const file = join(dir, 'gatehouse.toml')
  await using house = await startHouse({ toml: `${builtin}[[gateways]]\nslug = "demo"\ntools = ["reference/echo"]\n` })
  const read = () => readConfig({ file, dataDir: house.dataDir, env: {} })
  const reloaded: (() => void)[] = []
  const gatehouse = {
    config: house.gatehouse.config,
    reload: async (next: ReturnType<typeof read>) => (await house.gatehouse.reload(next), reloaded.shift()?.()),
  }
  const said: string[] = []
  const failed = Promise.withResolvers<void>()
  const line = (fields: object) => void said.push(JSON.stringify(fields))
  const log = {
    debug: line,
    info: line,
    warn: line,
    error: (fields: object) => (line(fields), failed.resolve()),
    child: () => log,
  }
  await writeFile(file, builtin)
  const stop = followConfig({ gatehouse, log, file, read })

  const taken = new Promise<void>((resolve) => reloaded.push(resolve))
  await writeFile(file, `${builtin}[[gateways]]\nslug = "demo"\ntools = ["reference/*"]\n[limits]\nmax_sessions = 7\n`)
  process.emit('SIGHUP')
  await taken
  expect((await restCall(house, 'add', { a: 1, b: 2 })).status).toBe(200)

  await writeFile(file, `${builtin}[[gateways]]\nslg = "demo"\n`)
  process.emit('SIGHUP')
  await failed.promise
  stop()
  await rm(dir, { recursive: true })
  expect(said.join()).toMatch(/"sections":\[[^\]]*"limits"/)
  expect(said.join()).toContain('gatehouse.toml:5')
  expect((await restCall(house, 'add', { a: 1, b: 2 })).status).toBe(200)
})

test('an identity source of a changed file signs people in without a restart, and one that left does not', async () => {
  await using house = await startHouse({ toml: builtin })
  const source =
    '[[identity_sources]]\nname = "work"\ntitle = "Work"\nissuer = "https://idp.example.com"\nclient_id = "x"\n'
  const reload = (text: string) => house.gatehouse.reload(readConfig({ text, dataDir: house.dataDir, env: {} }))
  const page = async (): Promise<boolean> =>
    (await (await fetch(`${house.url}/signin`)).text()).includes('/signin/sources/work')

  const shown = [await page()]
  await reload(builtin + source)
  shown.push(await page())
  await reload(`${builtin}${source}enabled = false\n`)
  shown.push(await page())
  await reload(builtin + source)
  shown.push(await page())
  await reload(builtin)
  shown.push(await page())

  expect(shown).toEqual([false, true, false, true, false])
})

/** Passes everything on to the upstream, but drops the connection of the first `tools/call` that comes. */
async function dropFirstCall(upstream: string) {
  let dropped = false
  return await listen((req, res) => {
    void (async () => {
      const body = await readText(req)
      if (!dropped && body.includes('"tools/call"')) {
        dropped = true
        return void req.socket.destroy()
      }
      const { host: _, ...headers } = req.headers
      const passed = request(upstream, { method: req.method, headers }, (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(res)
      })
      passed.on('error', () => res.destroy())
      passed.end(body)
    })()
  })
}

test.each([
  ['lookup', 'is made again', false],
  ['charge', 'is not made again', true],
])('a call of %s whose connection broke %s', async (tool, _what, fails) => {
  await using upstream = await startSideEffectServer({ eras: 'modern' })
  await using flaky = await dropFirstCall(upstream.url)
  await using house = await startHouse({
    toml: `[[servers]]\nname = "shop"\ntransport = "http"\nurl = "${flaky.url}"\n[[gateways]]\nslug = "demo"\ntools = ["shop/*"]\n`,
  })
  await house.listed()

  const answer = await restCall(house, tool, { order: 'o-1' })

  expect(answer.text.includes('"isError":true')).toBe(fails)
})

test('a server that was added can be changed in place, and one from the file cannot', async () => {
  await using house = await startHouse({ toml: `${builtin}[[gateways]]\nslug = "demo"\ntools = ["*"]\n` })
  const send = (method: string, path: string, body: object) =>
    askAdmin(house, `/api/v1/servers${path}`, { method, body })
  await send('POST', '', { name: 'second', transport: 'builtin' })
  const changed = await send('PUT', '/second', { name: 'second', transport: 'builtin', title: 'Two', enabled: false })
  const refused = await send('PUT', '/reference', { name: 'reference', transport: 'builtin' })
  const missing = await send('PUT', '/third', { name: 'third', transport: 'builtin' })

  expect(changed.body).toMatchObject({ name: 'second', enabled: false })
  expect([changed.status, refused.status, missing.status]).toEqual([200, 409, 404])
})
