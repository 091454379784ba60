import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createResources, scopesOf, type GatewayResource, type Meant } from './resources.ts'

const ISSUER = 'https://house.example'
const gateway = (slug: string, ...scopes: string[]): GatewayResource => {
  return { slug, title: slug, scopes: scopes.map((scope) => ({ scope, allows: `Use ${scope}` })) }
}
const over = (...gateways: GatewayResource[]) => createResources({ issuer: () => ISSUER, gateways: () => gateways })

const DEMO = gateway('demo')
const OPS = gateway('ops', 'mcp:delete', 'mcp:delete')
const at = (slug: string): Meant => ({ indicator: `${ISSUER}/mcp/${slug}` })

test.each<[string, string | null]>([
  [`${ISSUER}/mcp/demo`, 'demo'],
  [`${ISSUER}/mcp/demo/`, 'demo'],
  [`${ISSUER}/mcp/demo//`, null],
  [`${ISSUER}/mcp/Demo`, null],
  [`${ISSUER}/mcp/demo?x`, null],
  [`${ISSUER}/mcp/demo#x`, null],
  [`${ISSUER}/mcp/../mcp/demo`, null],
  [`${ISSUER}:443/mcp/demo`, null],
  ['https://HOUSE.example/mcp/demo', null],
  ['http://house.example/mcp/demo', null],
  [`${ISSUER}/mcp/`, null],
  [ISSUER, null],
  ['', null],
])('the resource %j is the gateway %j: compared letter by letter (RFC 8707 §2)', (indicator, slug) => {
  expect(over(DEMO, OPS).find(indicator)?.slug ?? null).toBe(slug)
})

test.each<[string, readonly GatewayResource[], string[], Meant]>([
  ['the only gateway', [DEMO], ['mcp'], at('demo')],
  ['the only gateway, also beside who somebody is', [DEMO], ['openid', 'offline_access', 'mcp'], at('demo')],
  ['none for who somebody is alone', [DEMO], ['openid', 'profile', 'email', 'offline_access'], 'none'],
  ['none for no scope at all', [DEMO], [], 'none'],
  ['what cannot be told among several', [DEMO, OPS], ['mcp'], 'unclear'],
  ['the one that has the further scope', [DEMO, OPS], ['mcp', 'mcp:delete'], at('ops')],
  ['the one that has the further scope, asked for alone', [DEMO, OPS], ['mcp:delete'], at('ops')],
  ['nothing where no gateway has the scope', [DEMO], ['mcp', 'mcp:delete'], 'unclear'],
  ['nothing where there is no gateway', [], ['mcp'], 'unclear'],
])('whoever names no resource means %s', (_what, gateways, scopes, meant) => {
  expect(over(...gateways).meantBy(scopes)).toEqual(meant)
})

test('what is meant has every scope that was asked for, and is the only one', () => {
  const scope = fc.constantFrom('mcp', 'mcp:a', 'mcp:b', 'openid')
  const gateways = fc.uniqueArray(
    fc.record({ slug: fc.constantFrom('one', 'two', 'three'), scopes: fc.subarray(['mcp:a', 'mcp:b']) }),
    { selector: ({ slug }) => slug },
  )

  fc.assert(
    fc.property(gateways, fc.array(scope), (there, asked) => {
      const all = there.map(({ slug, scopes }) => gateway(slug, ...scopes))
      const meant = over(...all).meantBy(asked)

      const opening = asked.filter((one) => one !== 'openid')
      const able = all.filter((one) => opening.every((wanted) => scopesOf(one).includes(wanted)))
      const [only] = able.length === 1 ? able : []
      expect(meant).toEqual(opening.length === 0 ? 'none' : only === undefined ? 'unclear' : at(only.slug))
    }),
  )
})

test('the metadata of a gateway names each scope once; there is none of a gateway that takes no tokens', () => {
  const resources = over(OPS)

  expect(resources.describe('ops')).toMatchObject({
    resource: `${ISSUER}/mcp/ops`,
    authorization_servers: [ISSUER],
    scopes_supported: ['mcp', 'mcp:delete'],
  })
  expect(resources.describe('demo')).toBeNull()
})
