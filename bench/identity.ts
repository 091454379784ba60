/**
 * `node bench/identity.ts`: what it costs to know who it is. Access tokens that are checked again, tokens that are
 * granted, names that are signed for servers behind, passwords that are tried, and how long the event loop stands still
 * while a storm of sign-ins goes on. All in one process, clients too. `--quick` takes a fifth of the time.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { createIdentitySigner } from '../src/oauth/index.ts'
import { isProblem, Secret } from '../src/kernel/index.ts'
import { refresh, textOf, tokensFor, type Tokens } from '../test/house/oauth-client.ts'
import { startHouse, type TestHouse } from '../test/house/start-house.ts'
import { median, round } from './numbers.ts'

const ADMIN = { userId: 'bench', keyId: null, face: 'cli' } as const
const PASSWORD = new Secret('correct horse battery')
const PEOPLE = 20
const ROUNDS = 5
const STORM = 64

const TOML = `
[[servers]]
name = "reference"
transport = "builtin"

[[gateways]]
slug = "demo"
tools = ["reference/*"]
`

const { values } = parseArgs({ options: { quick: { type: 'boolean' } } })
const forMs = values.quick === true ? 1_000 : 5_000
await using house = await startHouse({ toml: TOML })
const people = await makePeople(house)

tell('access tokens checked again, a second', await rounds(() => checkTokens(house, people)))
tell('admitted with an access token, a second', await rounds(() => admit(house, people)))
tell('identity tokens from those that are kept, a second', await rounds(() => signIdentities({ subjects: 100 })))
tell('identity tokens signed, a second', await rounds(() => signIdentities({ subjects: 1_000_000 })))
tell('refresh tokens swapped over HTTP, a second', await grantTokens(house, people))
const storm = await signInStorm(house)
tell(`passwords tried, ${STORM} at once, a second`, storm.perSecond)
tell('  of them turned away, a second', storm.busyPerSecond)
tell('  event loop p50 (ms)', storm.p50)
tell('  event loop p99 (ms)', storm.p99)
tell('  event loop at most (ms)', storm.max)

function tell(what: string, value: number): void {
  console.log(`${what}: ${round(value, value < 1_000 ? 1 : 0)}`)
}

async function makePeople(at: TestHouse): Promise<Tokens[]> {
  const people: Tokens[] = []
  for (let n = 0; n < PEOPLE; n += 1) {
    const { id } = await at.gatehouse.identity.accounts.create({ userId: nameOf(n) }, ADMIN)
    await at.gatehouse.identity.passwords.set(id, PASSWORD, ADMIN)
    people.push(await tokensFor(at, { accountId: id, gateway: 'demo' }))
  }
  return people
}

function nameOf(n: number): string {
  return `person-${n}@example.com`
}

async function rounds(measure: () => number): Promise<number> {
  measure() // so that it is compiled
  return median(Array.from({ length: ROUNDS }, measure))
}

/** How often a second something that waits for nothing is done. */
function perSecond(act: (turn: number) => void): number {
  const started = performance.now()
  let turns = 0
  while (performance.now() - started < forMs / ROUNDS) {
    for (let n = 0; n < 500; n += 1) act(turns + n)
    turns += 500
  }
  return turns / ((performance.now() - started) / 1_000)
}

/** The whole of it: hash, look-up, account, revocation and login policy. */
function checkTokens({ gatehouse }: TestHouse, tokens: readonly Tokens[]): number {
  const asked = tokens.map(({ access }) => ({ authorization: `Bearer ${access}`, gateway: 'demo' }))
  return perSecond((turn) => {
    const credentials = asked[turn % asked.length]
    if (credentials === undefined || !gatehouse.oauth.authenticate(credentials).ok)
      throw new Error('a token was refused')
  })
}

function admit({ gatehouse }: TestHouse, tokens: readonly Tokens[]): number {
  const asked = tokens.map(({ access }) => ({ authorization: `Bearer ${access}`, remoteAddress: '127.0.0.1' }))
  return perSecond((turn) => {
    const credentials = asked[turn % asked.length]
    if (credentials) gatehouse.tools.admit({ gateway: 'demo', credentials, face: 'mcp' })
  })
}

function signIdentities({ subjects }: { subjects: number }): number {
  const { keyRing, clock } = house.gatehouse
  const sign = createIdentitySigner({ keyRing, clock, issuer: () => house.url })
  const common = {
    aud: 'https://tickets.example/mcp',
    account: 'person',
    groups: ['support', 'staff'],
    gateway: 'demo',
  }
  return perSecond((turn) => void sign({ ...common, sub: `acc_${turn % subjects}`, tool: 'whoami' }))
}

async function grantTokens(at: TestHouse, tokens: readonly Tokens[]): Promise<number> {
  const until = performance.now() + forMs
  let granted = 0
  await Promise.all(
    tokens.slice(0, 8).map(async ({ clientId, refreshToken: first }) => {
      let refreshToken = first
      while (performance.now() < until) {
        const { status, body } = await refresh(at, { clientId, refreshToken })
        if (status !== 200) throw new Error(`a refresh was answered with ${status}`)
        refreshToken = textOf(body['refresh_token'])
        granted += 1
      }
    }),
  )
  return granted / (forMs / 1_000)
}

async function signInStorm({ gatehouse }: TestHouse) {
  const { passwords } = gatehouse.identity
  const delay = monitorEventLoopDelay({ resolution: 1 })
  const until = performance.now() + forMs
  const count = { tried: 0, busy: 0 }
  const tryOnce = async (n: number): Promise<void> => {
    try {
      if (!(await passwords.matches(nameOf(n % PEOPLE), PASSWORD))) throw new Error('a password did not match')
      count.tried += 1
    } catch (error) {
      if (!isProblem(error)) throw error
      count.busy += 1
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const person = async (_: unknown, n: number): Promise<void> => {
    while (performance.now() < until) await tryOnce(n)
  }
  delay.enable()
  await Promise.all(Array.from({ length: STORM }, person))
  delay.disable()
  const inMs = (nanoseconds: number): number => nanoseconds / 1_000_000
  const perSecondOf = (times: number): number => times / (forMs / 1_000)
  return {
    perSecond: perSecondOf(count.tried),
    busyPerSecond: perSecondOf(count.busy),
    p50: inMs(delay.percentile(50)),
    p99: inMs(delay.percentile(99)),
    max: inMs(delay.max),
  }
}
