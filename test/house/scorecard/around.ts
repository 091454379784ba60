/** 5. The way around the gateway: shut where a server demands what only the gateway has, and named where it is open. */
import { beforeAll, describe, expect, test } from 'vitest'
import { testCli } from '../../../src/cli/testing.ts'
import { claimsIn } from '../../fakes/strict-upstream.ts'
import { ask, callTool, textOf } from '../talk.ts'
import { callsOf, connectAll, everythingWritten } from './kit.ts'
import { UPSTREAM_TOKEN, type Enrolled, type Rig } from './rig.ts'

const FORGED = `${base64({ alg: 'none', typ: 'gatehouse-identity+jwt' })}.${base64({ sub: 'gina' })}.`

export function around(rig: () => Rig): void {
  describe('5. the way around', () => {
    let gina: Enrolled
    let id: string
    beforeAll(async () => {
      ;({ id } = await rig().first.api.createAccount({ body: { userId: 'gina' } }))
      gina = await rig().enrol('gina')
      await gina.grant('guarded/*', 'strict/*', 'payments/*')
      await callTool(gina.line, 'lookup', { order: 'a' })
    })

    test('through the gateway real clients call both servers, and the one learns who calls', async () => {
      const clients = await connectAll(gina)

      const called = await Promise.all(clients.map((client) => client.callTool('read_payroll')))
      const told = await Promise.all(clients.map((client) => client.callTool('whoami')))

      expect(called.map((result) => textOf({ result }))).toEqual(clients.map(() => 'read_payroll was called'))
      const expected = { sub: id, user: 'gina', account: 'person', gateway: 'demo', tool: 'whoami' }
      expect(told.map((result) => claimsIn(textOf({ result })))).toMatchObject(clients.map(() => expected))
      expect(JSON.stringify([called, told])).not.toContain(UPSTREAM_TOKEN)
    })

    test.each([
      { who: 'nobody', headers: () => ({}) },
      { who: 'her key of the gateway', headers: () => ({ authorization: `Bearer ${gina.key}` }) },
      { who: 'an identity that she wrote', headers: () => ({ 'gatehouse-identity': FORGED }) },
      {
        who: 'an identity made for another server',
        headers: () => ({ 'gatehouse-identity': identityAt(rig().payments), authorization: 'Bearer of-payments' }),
      },
    ])('directly they refuse $who, in every method', async ({ headers }) => {
      const { guarded, strict } = rig()
      const before = callsOf(guarded)
      const lines = [guarded, strict].map(({ url }) => ({ url, headers: headers() }))

      const heard = await Promise.all(
        lines.flatMap((line) => [
          callTool(line, 'whoami'),
          callTool(line, 'read_payroll'),
          ask(line, 'tools/list'),
          ask(line, 'server/discover'),
        ]),
      )

      expect(heard.map(({ status }) => status)).toEqual(heard.map(() => 401))
      expect(callsOf(guarded)).toBe(before)
    })

    test('an identity that she sends through the gateway is replaced by her own', async () => {
      const lines = gina.lines.map((line) => ({ ...line, headers: { 'gatehouse-identity': FORGED } }))

      const heard = await Promise.all(
        lines.map((line) => callTool(line, 'whoami', {}, { meta: { 'io.gatehouse/identity': FORGED } })),
      )

      expect(heard.map((one) => claimsIn(textOf(one))['sub'])).toEqual(lines.map(() => id))
    })

    test('"doctor" names each server that can be called around, at every replica, and no other', async () => {
      const findings = await Promise.all(
        rig().replicas.map(async ({ dataDir }) => {
          const ran = await testCli({ cwd: dataDir })('doctor', '--data', dataDir, '--config', '/dev/null', '--json')
          return JSON.parse(ran.out).findings as { level: string; what: string; detail: string }[]
        }),
      )

      const open = findings.map((all) =>
        all.filter(({ detail }) => /can be called without the gateway/.test(detail)).map(({ what }) => what),
      )
      expect(open.map((names) => names.toSorted())).toEqual(
        open.map(() => ['server atlassian', 'server github', 'server leaky']),
      )
    })

    test('neither credential is in a log, the trail or what is counted', async () => {
      const written = await everythingWritten(rig())

      expect(written).not.toContain(UPSTREAM_TOKEN)
      expect(written).not.toMatch(/eyJ[\w-]+\.[\w-]+\./)
    })
  })
}

/** The token that another server was sent, for a replay. */
function identityAt({ requests }: Rig['payments']): string {
  const tokens = requests.entries.flatMap(({ headers }) => headers['gatehouse-identity'] ?? [])
  const token = tokens.at(-1)
  if (token === undefined) throw new Error('no identity was sent')
  return token
}

function base64(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
