import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loginPolicyConfig } from '#login'
import { refresh, textOf, tokensFor } from './oauth-client.ts'
import { ADMIN } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, gatewayUrl } from './talk.ts'

/** What the tester says of somebody, and what really happens to them: a call with what they hold, and a refresh. */

const TOML = `
  [[servers]]
  name = "reference"
  transport = "builtin"

  [[gateways]]
  slug = "payroll"
  tools = ["reference/*"]

  [[gateways]]
  slug = "wiki"
  tools = ["reference/*"]
`
const TAGS = { production: ['payroll'], open: ['wiki', 'client:*'] }
const RULES = {
  admins: { effect: 'allow', roles: ['admin'] },
  staff: { effect: 'allow', roles: ['admin', 'user'] },
  guests: { effect: 'deny', roles: ['guest'] },
  people: { effect: 'allow', accounts: ['person'] },
  machines: { effect: 'deny', accounts: ['system'] },
  robots: { effect: 'allow', accounts: ['system'], services: ['wiki'] },
  payroll: { effect: 'deny', services: ['payroll'] },
  wiki: { effect: 'allow', services: ['wi*'] },
  production: { effect: 'deny', service_tags: ['production'] },
  weak: { effect: 'deny', service_tags: ['production'], factors: ['password', 'token'] },
  strong: { effect: 'allow', service_tags: ['production'], factors: ['passkey'] },
  open: { effect: 'allow', service_tags: ['open'] },
  ada: { effect: 'deny', users: ['ada'] },
  here: { effect: 'allow', networks: ['127.0.0.0/8'] },
  office: { effect: 'allow', networks: ['203.0.113.0/24'] },
} as const
type RuleName = keyof typeof RULES
type Who = 'ada' | 'ulla' | 'gus' | 'robo'
type Row = readonly [
  Who,
  'payroll' | 'wiki',
  'allow' | 'deny',
  readonly RuleName[],
  'lets in' | 'refuses',
  string | null,
]

/** Who, where to, the default, the rules in their order, and what comes of it by which rule. Passkey: ada; robo: a key. */
const ROWS: readonly Row[] = [
  ['ada', 'payroll', 'allow', [], 'lets in', null],
  ['ulla', 'payroll', 'deny', [], 'refuses', null],
  ['gus', 'wiki', 'allow', [], 'lets in', null],
  ['robo', 'wiki', 'deny', [], 'refuses', null],
  ['ada', 'payroll', 'deny', ['admins'], 'lets in', 'admins'],
  ['ulla', 'payroll', 'deny', ['admins'], 'refuses', null],
  ['gus', 'payroll', 'deny', ['admins'], 'refuses', null],
  ['robo', 'payroll', 'deny', ['admins'], 'refuses', null],
  ['ulla', 'wiki', 'deny', ['guests', 'staff'], 'lets in', 'staff'],
  ['gus', 'wiki', 'allow', ['guests', 'staff'], 'refuses', 'guests'],
  ['gus', 'wiki', 'allow', ['staff', 'guests'], 'refuses', 'guests'],
  ['robo', 'wiki', 'allow', ['guests', 'staff'], 'lets in', null],
  ['gus', 'payroll', 'deny', ['people', 'guests'], 'lets in', 'people'],
  ['gus', 'payroll', 'deny', ['guests', 'people'], 'refuses', 'guests'],
  ['robo', 'payroll', 'allow', ['people'], 'lets in', null],
  ['robo', 'payroll', 'deny', ['people'], 'refuses', null],
  ['robo', 'wiki', 'allow', ['machines'], 'refuses', 'machines'],
  ['robo', 'wiki', 'deny', ['robots', 'machines'], 'lets in', 'robots'],
  ['robo', 'payroll', 'allow', ['robots', 'machines'], 'refuses', 'machines'],
  ['robo', 'wiki', 'deny', ['machines', 'robots'], 'refuses', 'machines'],
  ['ulla', 'wiki', 'deny', ['machines', 'robots'], 'refuses', null],
  ['ada', 'payroll', 'allow', ['payroll'], 'refuses', 'payroll'],
  ['ada', 'payroll', 'allow', ['admins', 'payroll'], 'lets in', 'admins'],
  ['ulla', 'payroll', 'allow', ['admins', 'payroll'], 'refuses', 'payroll'],
  ['ulla', 'wiki', 'deny', ['payroll', 'wiki'], 'lets in', 'wiki'],
  ['gus', 'wiki', 'deny', ['payroll', 'wiki'], 'lets in', 'wiki'],
  ['robo', 'wiki', 'deny', ['payroll', 'wiki'], 'lets in', 'wiki'],
  ['ulla', 'payroll', 'allow', ['production'], 'refuses', 'production'],
  ['ulla', 'wiki', 'allow', ['production'], 'lets in', null],
  ['ada', 'payroll', 'allow', ['weak'], 'lets in', null],
  ['ulla', 'payroll', 'allow', ['weak'], 'refuses', 'weak'],
  ['robo', 'payroll', 'allow', ['weak'], 'refuses', 'weak'],
  ['ada', 'payroll', 'deny', ['strong', 'production'], 'lets in', 'strong'],
  ['ulla', 'payroll', 'allow', ['strong', 'production'], 'refuses', 'production'],
  ['ada', 'payroll', 'allow', ['production', 'strong'], 'refuses', 'production'],
  ['gus', 'wiki', 'deny', ['strong', 'open'], 'lets in', 'open'],
  ['robo', 'payroll', 'deny', ['strong', 'open'], 'refuses', null],
  ['ada', 'wiki', 'allow', ['ada', 'admins'], 'refuses', 'ada'],
  ['ada', 'wiki', 'deny', ['admins', 'ada'], 'lets in', 'admins'],
  ['ulla', 'wiki', 'deny', ['ada', 'staff'], 'lets in', 'staff'],
  ['gus', 'wiki', 'deny', ['office', 'here'], 'lets in', 'here'],
  ['robo', 'payroll', 'deny', ['office'], 'refuses', null],
]

type Held = { readonly credential: string; readonly refresh: () => Promise<number> }

let house: TestHouse
const held = new Map<string, Held>()
beforeAll(async () => {
  house = await startHouse({ toml: TOML })
  await house.listed()
  const { accounts } = house.gatehouse.identity
  const made = {
    ada: await accounts.create({ userId: 'ada', role: 'admin' }, ADMIN),
    ulla: await accounts.create({ userId: 'ulla', role: 'user' }, ADMIN),
    gus: await accounts.create({ userId: 'gus', role: 'guest' }, ADMIN),
  }
  await accounts.create({ userId: 'robo', kind: 'system' }, ADMIN)
  const key = await house.createKey({ user: 'robo', gateway: '*' })
  for (const gateway of ['payroll', 'wiki']) {
    held.set(`robo ${gateway}`, { credential: key, refresh: async () => 0 })
    for (const [who, { id: accountId }] of Object.entries(made)) {
      const factor = factorOf(who)
      held.set(`${who} ${gateway}`, hold(await tokensFor(house, { accountId, gateway, factor })))
    }
  }
})
afterAll(() => house.close())

/** A grant whose access token stays, and whose refresh token is followed. */
function hold(tokens: Awaited<ReturnType<typeof tokensFor>>): Held {
  let { refreshToken } = tokens
  return {
    credential: tokens.access,
    refresh: async () => {
      const { status, body } = await refresh(house, { clientId: tokens.clientId, refreshToken })
      refreshToken = textOf(body['refresh_token']) || refreshToken
      return status
    },
  }
}

function factorOf(who: string): 'passkey' | 'token' | 'password' {
  return who === 'ada' ? 'passkey' : who === 'robo' ? 'token' : 'password'
}

describe('what the tester says is what happens, and by the rule that it names', () => {
  test.each(ROWS)('%s at %s, else %s, with %j: %s by %s', async (...row) => {
    const [who, service, otherwise, names, what, winner] = row
    const rules = names.map((id, index) => ({ id, priority: 10 * (index + 1), ...RULES[id] }))
    house.gatehouse.loginPolicy.declare(
      loginPolicyConfig.parse({ default: otherwise, service_tags: TAGS, rules: rules.toReversed() }),
    )
    const holds = held.get(`${who} ${service}`)

    const said = house.gatehouse.loginPolicy.test({ user: who, service, from: '127.0.0.1', factor: factorOf(who) })
    const call = await callTool({ url: gatewayUrl(house, service), key: holds?.credential }, 'whoami', {})
    const refreshed = await holds?.refresh()

    expect([said.effect, said.winner]).toEqual([what === 'lets in' ? 'allow' : 'deny', winner])
    expect(call.status).toBe(what === 'lets in' ? 200 : 403)
    expect(call.text).toContain(what === 'lets in' ? who : said.reason.replaceAll('"', '\\"'))
    expect(refreshed).toBe(who === 'robo' ? 0 : what === 'lets in' ? 200 : 400)
  })
})
