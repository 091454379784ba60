import { describe, expect, test } from 'vitest'
import { openBrowser } from '../../src/signin/testing/browser.ts'
import { hasOpenssl } from '../fakes/certificate.ts'
import { serveMetadataDocument } from '../fakes/metadata-document.ts'
import { addPerson, answer } from './person.ts'
import { CLIENTS, type ClientOptions } from './real-clients.ts'
import { ADMIN, REFERENCE, openHouse } from './kit.ts'
import { gatewayUrl } from './talk.ts'

const TOML = `
  [oauth]
  allow_hosts = ["localhost"]
  ${REFERENCE}`
const MAY = { ada: ['whoami', 'add'], bob: ['whoami', 'echo'] } as const

/** A house with two people, who may use different tools. */
async function start() {
  const house = await openHouse({ toml: TOML })
  for (const [userId, tools] of Object.entries(MAY)) {
    await addPerson(house, userId)
    const subject = { kind: 'user', id: userId } as const
    const names = tools.map((tool) => `reference/${tool}`)
    await house.gatehouse.policy.addGrant({ subject, gateway: 'demo', tools: names }, ADMIN)
  }
  const url = gatewayUrl(house, 'demo')
  /** As this person, at a browser that has never been here. */
  const as = (userId: string): ClientOptions => ({
    url,
    atBrowser: (asked) => answer({ userId, browser: openBrowser(house.url) }, { url: asked }),
  })
  return { house, as }
}

describe('from an address alone to a call, as two people who see different tools', { timeout: 120_000 }, () => {
  test.each(Object.entries(CLIENTS))('%s, which registers itself', async (_name, connect) => {
    const { as } = await start()

    const ada = await connect(as('ada'))
    const bob = await connect(as('bob'))

    expect(ada.tools.toSorted()).toEqual(['add', 'whoami'])
    expect(bob.tools.toSorted()).toEqual(['echo', 'whoami'])
    expect([ada.whoami, bob.whoami]).toEqual([expect.stringContaining('ada'), expect.stringContaining('bob')])
  })

  test.skipIf(!hasOpenssl()).each(Object.entries(CLIENTS))('%s, by its metadata document', async (_name, connect) => {
    const { house, as } = await start()
    await using document = await serveMetadataDocument({
      client_name: 'A program with a site',
      // As the one of Claude Code: an address of this machine, and not a word of which kind the client is.
      redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
    })

    const ada = await connect({ ...as('ada'), metadataUrl: document.clientId })
    const bob = await connect({ ...as('bob'), metadataUrl: document.clientId })

    expect(ada.tools.toSorted()).toEqual(['add', 'whoami'])
    expect(bob.tools.toSorted()).toEqual(['echo', 'whoami'])
    expect([ada.whoami, bob.whoami]).toEqual([expect.stringContaining('ada'), expect.stringContaining('bob')])
    expect(document.count()).toBe(1) // kept for the second person
    const { records } = await house.gatehouse.audit.search({ what: 'consent' })
    expect([...new Set(records.map(({ client }) => client))]).toEqual([document.clientId])
  })
})
