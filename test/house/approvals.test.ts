import { createHmac } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import * as z from 'zod'
import { testCli } from '../../src/cli/testing.ts'
import { createTestPlace } from '../../src/storage/testing.ts'
import { listen as listenOn, parseObject, readText, sendJson } from '../fakes/listen.ts'
import { createJournal } from '../fakes/observe.ts'
import { startLeakyServer } from '../fakes/leaky-server.ts'
import { startSideEffectServer } from '../fakes/side-effect-server.ts'
import { clientKinds, connect } from './matrix/clients.ts'
import { lineOf, openHouse, answerApproval, askAdmin } from './kit.ts'
import { startHouse, type TestHouse } from './start-house.ts'
import { callTool, eventually, gatewayUrl, openSession, textOf, type Line } from './talk.ts'

const ALICE = 'alice@example.com'
const PENDING = {
  isError: true,
  _meta: { 'io.gatehouse/problem': { code: 'approvals/pending', approval: expect.any(String) } },
}

type Wanted = { approvals?: string; toml?: string; clock?: { now(): number }; storageUrl?: string; dataDir?: string }

async function startEffects() {
  const effects = await startSideEffectServer()
  onTestFinished(() => effects.close())
  return effects
}

function tomlOf(url: string, { approvals = '', toml = '' }: Wanted): string {
  return `
    [approvals]
    wait_ms = 0
    ${approvals}

    [[servers]]
    name = "effects"
    transport = "http"
    url = "${url}"

    [[gateways]]
    slug = "demo"
    tools = ["effects/*"]
    approve = ["destructive"]
    ${toml}
  `
}

async function startOne(url: string, wanted: Wanted = {}): Promise<TestHouse> {
  const { clock, storageUrl, dataDir } = wanted
  const house = await startHouse({
    toml: tomlOf(url, wanted),
    ...(clock === undefined ? {} : { clock }),
    ...(storageUrl === undefined ? {} : { storageUrl }),
    ...(dataDir === undefined ? {} : { dataDir }),
  })
  await house.listed()
  return house
}

async function startWith(wanted: Wanted = {}) {
  const effects = await startEffects()
  const house = await startOne(effects.url, wanted)
  onTestFinished(() => house.close())
  const key = await house.createKey({ user: ALICE, gateway: 'demo' })
  return { house, effects, line: { url: gatewayUrl(house, 'demo'), key } satisfies Line }
}

const approvalReply = z.object({ id: z.string(), state: z.string(), answeredBy: z.string().nullable() }).loose()

async function approvalsOf(house: TestHouse) {
  const { body } = await askAdmin(house, '/api/v1/approvals')
  return z.object({ approvals: z.array(approvalReply) }).parse(body).approvals
}

async function pendingId(house: TestHouse): Promise<string> {
  const found = await eventually(
    async () => (await approvalsOf(house)).find(({ state }) => state === 'pending'),
    (one) => one !== undefined,
  )
  return found?.id ?? ''
}

async function eventsOf(house: TestHouse) {
  const { records } = await house.gatehouse.audit.search({})
  return records
    .filter(({ what }) => what.startsWith('approval.'))
    .map(({ what, decision }) => `${what} ${decision}`)
    .toReversed()
}

test('a call that needs approval waits for it, runs once with exactly its arguments, and leaves its whole story', async () => {
  const { house, effects, line } = await startWith()

  const first = await callTool(line, 'charge', { order: 'o1' })
  const again = await callTool(line, 'charge', { order: 'o1' })
  const id = await pendingId(house)
  await answerApproval(house, id, 'approve')
  const other = await callTool(line, 'charge', { order: 'o2' })
  const made = await callTool(line, 'charge', { order: 'o1' })
  const twice = await callTool(line, 'charge', { order: 'o1' })

  expect([first.result, again.result, other.result, twice.result]).toMatchObject([PENDING, PENDING, PENDING, PENDING])
  expect(textOf(made)).toBe('charged o1, time 1')
  expect(effects.executions.total).toBe(1)
  expect(await eventsOf(house)).toEqual([
    'approval.requested allowed',
    'approval.approved allowed',
    'approval.requested allowed',
    'approval.used allowed',
    'approval.requested allowed',
  ])
  const { records } = await house.gatehouse.audit.search({ what: 'tools/call' })
  expect(records.filter(({ decision }) => decision === 'allowed')).toMatchObject([{ extra: { approval: id } }])
  expect(records.filter(({ decision }) => decision === 'denied')).toHaveLength(4)
})

test('a tool that destroys nothing needs no approval, and one that a content rule names does', async () => {
  const rule = `
    [[content_rules]]
    name = "big-orders"
    phase = "input"
    pattern = "big"
    effect = "approve"
    note = "Over the limit."
  `
  const { house, line } = await startWith({ toml: rule })

  const free = await callTool(line, 'lookup', { order: 'small' })
  const asked = await callTool(line, 'lookup', { order: 'big' })

  expect(textOf(free)).toBe('order small is open')
  expect(asked.result).toMatchObject(PENDING)
  expect(await approvalsOf(house)).toMatchObject([
    { rule: 'content:big-orders', note: 'Over the limit.', tool: 'lookup' },
  ])
})

test('a denial is told to the caller and stands until it ends; another user is asked for anew', async () => {
  const { house, effects, line } = await startWith()
  const bob = { ...line, key: await house.createKey({ user: 'bob@example.com', gateway: 'demo' }) }
  await callTool(line, 'charge', { order: 'o1' })
  await answerApproval(house, await pendingId(house), 'deny')

  const denied = await callTool(line, 'charge', { order: 'o1' })
  const ofBob = await callTool(bob, 'charge', { order: 'o1' })

  expect(denied.result).toMatchObject({
    isError: true,
    _meta: { 'io.gatehouse/problem': { code: 'approvals/denied' } },
  })
  expect(ofBob.result).toMatchObject(PENDING)
  expect(effects.executions.total).toBe(0)
})

test.each([
  ['unanswered', false],
  ['approved but unused', true],
])('an approval that is %s ends by the clock', async (_, isApproved) => {
  const clock = { skippedMs: 0, now: () => Date.now() + clock.skippedMs }
  const { house, effects, line } = await startWith({ clock, approvals: 'expires_ms = 60_000' })
  await callTool(line, 'charge', { order: 'o1' })
  const id = await pendingId(house)
  const answered = isApproved ? await answerApproval(house, id, 'approve') : null

  clock.skippedMs = 61_000
  const late = await answerApproval(house, id, 'approve')
  const after = await callTool(line, 'charge', { order: 'o1' })

  expect(answered?.status ?? 200).toBe(200)
  expect(late.status).toBe(409)
  expect(after.result).toMatchObject(PENDING)
  expect(effects.executions.total).toBe(0)
  expect(await eventsOf(house)).toContain('approval.expired allowed')
})

test('of two answers at once the first wins, and the second is told so', async () => {
  const { house, line } = await startWith()
  await callTool(line, 'charge', { order: 'o1' })
  const id = await pendingId(house)

  const answers = await Promise.all([
    answerApproval(house, id, 'approve'),
    answerApproval(house, id, 'deny'),
    answerApproval(house, id, 'approve'),
  ])

  expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 409, 409])
  const winner = answers.find(({ status }) => status === 200)
  const [approval] = await approvalsOf(house)
  expect(approval?.state).toBe(approvalReply.parse(JSON.parse(winner?.text ?? '{}')).state)
})

test('of many calls at once with one approval exactly one is made', async () => {
  const { house, effects, line } = await startWith()
  await callTool(line, 'charge', { order: 'o1' })
  await answerApproval(house, await pendingId(house), 'approve')

  const calls = await Promise.all(Array.from({ length: 8 }, () => callTool(line, 'charge', { order: 'o1' })))

  expect(effects.timesRun('charge', 'o1')).toBe(1)
  expect(calls.filter(({ result }) => result['isError'] !== true)).toHaveLength(1)
})

test('a call that waits is made as soon as it is approved, without being sent again', async () => {
  const effects = await startEffects()
  const house = await startPatient(effects.url, {})
  const line = await lineOf(house, ALICE)
  const session = await openSession(line)

  const waiting = [callTool(line, 'charge', { order: 'modern' }), session.call('charge', { order: 'legacy' })]
  await answerApproval(house, await pendingId(house), 'approve')
  await answerApproval(house, await pendingId(house), 'approve')
  const made = await Promise.all(waiting)

  expect(made.map(textOf)).toEqual(['charged modern, time 1', 'charged legacy, time 1'])
})

test('a restart between pause and answer loses nothing, and the arguments lie sealed in the database', async () => {
  const effects = await startEffects()
  const dataDir = await mkdtemp(join(tmpdir(), 'gatehouse-approvals-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const before = await startOne(effects.url, { dataDir })
  const key = await before.createKey({ user: ALICE, gateway: 'demo' })
  await callTool({ url: gatewayUrl(before, 'demo'), key }, 'charge', { order: 'very-private-order' })
  const id = await pendingId(before)
  const rows = await before.gatehouse.storage
    .tables<{ approval: object }>()
    .selectFrom('approval')
    .selectAll()
    .execute()
  await before.close()

  const after = await startOne(effects.url, { dataDir })
  onTestFinished(() => after.close())
  const answered = await answerApproval(after, id, 'approve')
  const made = await callTool({ url: gatewayUrl(after, 'demo'), key }, 'charge', { order: 'very-private-order' })

  expect(answered.status).toBe(200)
  expect(textOf(made)).toBe('charged very-private-order, time 1')
  expect(JSON.stringify(rows)).toContain(id)
  expect(JSON.stringify(rows)).not.toContain('very-private-order')
})

test('an answer at one replica reaches the call that waits at another', async () => {
  const effects = await startEffects()
  const place = await createTestPlace('postgres')
  onTestFinished(() => place.remove())
  const waitLong = { approvals: '', storageUrl: place.url }
  const replicas = await Promise.all([1, 2].map(() => startPatient(effects.url, waitLong)))
  const [one, two] = replicas
  if (one === undefined || two === undefined) throw new Error('two replicas are needed')
  const line = { url: gatewayUrl(one, 'demo'), key: await one.createKey({ user: ALICE, gateway: 'demo' }) }

  const waiting = callTool(line, 'charge', { order: 'o1' })
  const tooEarly = waiting.then(({ text }) => Promise.reject(new Error(`the call did not wait: ${text}`)))
  const answered = await answerApproval(two, await Promise.race([pendingId(two), tooEarly]), 'approve')
  tooEarly.catch(() => {}) // by now it may end
  const made = await waiting

  expect(answered.status).toBe(200)
  expect(textOf(made)).toBe('charged o1, time 1')
  expect(effects.executions.total).toBe(1)
})

async function startPatient(url: string, wanted: Wanted): Promise<TestHouse> {
  const { storageUrl } = wanted
  const toml = tomlOf(url, wanted).replace('wait_ms = 0', 'wait_ms = 30_000')
  const house = await openHouse({ toml, ...(storageUrl === undefined ? {} : { storageUrl }) })
  return house
}

test('the command line shows what waits, with its arguments, and answers it', async () => {
  const { house, line } = await startWith()
  await callTool(line, 'charge', { order: 'o\u202e1' })
  const run = testCli({ cwd: house.dataDir })
  const id = await pendingId(house)
  const at = ['--data', house.dataDir]

  const listed = await run('approval', 'list', ...at)
  const shown = await run('approval', 'show', id, ...at)
  const approved = await run('approval', 'approve', id, ...at)
  const again = await run('approval', 'deny', id, ...at)
  const made = await callTool(line, 'charge', { order: 'o\u202e1' })

  expect(listed.out).toContain(ALICE)
  expect(shown.out).toContain('"order": "o\\u{202e}1"')
  expect([approved.code, again.code]).toEqual([0, 1])
  expect(textOf(made)).toContain('time 1')
})

test.each(clientKinds)('a caller who may answer does so in their own client (%s)', async (kind) => {
  const effects = await startEffects()
  const house = await startPatient(effects.url, { approvals: 'who = "caller"' })
  const key = await house.createKey({ user: ALICE, gateway: 'demo' })
  const client = await connect(kind, {
    url: gatewayUrl(house, 'demo'),
    headers: { authorization: `Bearer ${key}` },
    answer: () => ({ action: 'accept', content: { decision: 'approve' } }),
  })
  onTestFinished(() => client.close())

  const made = await client.callTool('charge', { order: 'o1' })

  expect(JSON.stringify(made)).toContain('charged o1, time 1')
  expect(effects.executions.total).toBe(1)
  expect(await approvalsOf(house)).toMatchObject([{ state: 'used', answeredBy: ALICE, answeredVia: 'client' }])
})

test('an answer to one question is worth nothing for other arguments, for another user, or where others have to answer', async () => {
  const { house, effects, line } = await startWith({ approvals: 'who = "caller"' })
  const bob = { ...line, key: await house.createKey({ user: 'bob@example.com', gateway: 'demo' }) }
  const capabilities = { elicitation: { form: {} } }
  const asked = await callTool({ ...line, capabilities }, 'charge', { order: 'o1' })
  const retry = {
    requestState: asked.result['requestState'] ?? null,
    inputResponses: { approval: { action: 'accept', content: { decision: 'approve' } } },
  }

  const changed = await callTool({ ...line, capabilities }, 'charge', { order: 'o2' }, { retry })
  const stolen = await callTool({ ...bob, capabilities }, 'charge', { order: 'o1' }, { retry })
  const right = await callTool({ ...line, capabilities }, 'charge', { order: 'o1' }, { retry })
  const replayed = await callTool({ ...line, capabilities }, 'charge', { order: 'o1' }, { retry })

  expect(asked.result).toMatchObject({
    resultType: 'input_required',
    inputRequests: { approval: { method: 'elicitation/create' } },
  })
  expect(changed.result).toMatchObject({ resultType: 'input_required' })
  expect(stolen.text).toContain('requestState is not valid')
  expect(textOf(right)).toBe('charged o1, time 1')
  expect(replayed.result).toMatchObject({ resultType: 'input_required' })
  expect(effects.executions.total).toBe(1)
})

test('whoever calls does not approve it themselves, by whatever way, where others have to', async () => {
  const { house, effects, line } = await startWith()
  const capabilities = { elicitation: { form: {} } }
  const session = await openSession({ ...line, capabilities })
  const { identity } = house.gatehouse
  const by = { userId: 'test', keyId: null, face: 'cli' }
  await identity.accounts.create({ userId: ALICE, role: 'admin' }, by)
  const made = await identity.createKey({ userId: ALICE, gateways: ['*'], role: 'admin' }, by)

  const modern = await callTool({ ...line, capabilities }, 'charge', { order: 'o1' })
  const legacy = await session.call('charge', { order: 'o1' })
  const id = await pendingId(house)
  const headers = { authorization: `Bearer ${made.key}`, 'content-type': 'application/json' }
  const own = await fetch(`${house.url}/api/v1/approvals/${id}/answer`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ answer: 'approve' }),
  })
  const link = await fetch(`${house.url}/api/v1/approvals/${id}/link`, { method: 'POST', headers, body: '{}' })

  expect([modern.result, legacy.result]).toMatchObject([PENDING, PENDING])
  expect([own.status, link.status]).toEqual([403, 403])
  expect(effects.executions.total).toBe(0)
  expect(await eventsOf(house)).toContain('approval.approved denied')
})

test('a one-time link opens a page without script, whose form only its own browser can send, and only once', async () => {
  const { house, line } = await startWith()
  await callTool(line, 'charge', { order: '<script>alert(1)</script>' })
  const id = await pendingId(house)
  const made = await askAdmin(house, `/api/v1/approvals/${id}/link`, { body: {} })
  const { link } = z.object({ link: z.string() }).parse(made.body)

  const page = await fetch(link)
  const text = await page.text()
  const cookie = page.headers
    .getSetCookie()
    .map((one) => one.split(';')[0])
    .join('; ')
  const csrf = /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? ''
  const send = (body: Record<string, string>, headers: Record<string, string> = {}) =>
    fetch(link, {
      method: 'POST',
      body: new URLSearchParams(body),
      headers: { 'content-type': 'application/x-www-form-urlencoded', origin: house.url, ...headers },
    })
  const forged = await send({ answer: 'approve' }, { cookie })
  const elsewhere = await send({ answer: 'approve', csrf })
  const stranger = await send({ answer: 'approve', csrf }, { cookie, origin: 'https://evil.example' })
  const sent = await send({ answer: 'approve', csrf }, { cookie })
  const again = await send({ answer: 'deny', csrf }, { cookie })
  const ran = await callTool(line, 'charge', { order: '<script>alert(1)</script>' })

  expect(text).not.toMatch(/<script/i)
  expect(text).toContain(ALICE)
  expect(page.headers.get('content-security-policy')).toContain("script-src 'none'")
  expect([forged.status, elsewhere.status, stranger.status]).toEqual([403, 403, 403])
  expect([sent.status, again.status]).toEqual([200, 404])
  expect(textOf(ran)).toContain('time 1')
  expect(JSON.stringify(await eventsOf(house)) + house.logs.join('')).not.toContain(link.split('/').at(-1))
})

test('without an account there is no page: a stranger is sent to sign in, and learns nothing', async () => {
  const { house, line } = await startWith()
  await callTool(line, 'charge', { order: 'o1' })
  const id = await pendingId(house)

  const there = await fetch(`${house.url}/approve/${id}`, { redirect: 'manual' })
  const nowhere = await fetch(`${house.url}/approve/appr_0`, { redirect: 'manual' })
  const badLink = await fetch(`${house.url}/approve/link/made-up`, { redirect: 'manual' })

  expect([there.status, nowhere.status, badLink.status]).toEqual([303, 303, 404])
  expect(there.headers.get('location')).toBe(`/signin?return=%2Fapprove%2F${id}`)
})

test('the webhook is told of a new approval with its page, signed, and without the arguments', async () => {
  const secret = 'webhook-secret-of-the-test'
  const heard = createJournal<{ text: string; signature: string }>()
  const hook = await listenOn((req, res) => {
    void readText(req).then((text) => {
      heard.add({ text, signature: String(req.headers['gatehouse-signature']) })
      sendJson(res, 200, {})
    })
  })
  onTestFinished(() => hook.close())
  const { house, line } = await startWith({
    approvals: `webhook = { url = "${hook.url}", signing_secret = "${secret}" }`,
  })

  await callTool(line, 'charge', { order: 'very-private-order' })
  const { text, signature } = await heard.until(() => true)

  const id = await pendingId(house)
  expect(parseObject(text)).toMatchObject({ event: 'approval.requested', id, link: `${house.url}/approve/${id}` })
  expect(text).not.toContain('very-private-order')
  const [, seconds = '', mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? []
  expect(mac).toBe(createHmac('sha256', secret).update(`${seconds}.${text}`).digest('hex'))
})

test('with an idempotency key the repeat of an approved call gets its outcome, and asks nobody again', async () => {
  const { house, effects, line } = await startWith()
  const keyed = { ...line, headers: { 'idempotency-key': 'k1' } }
  await callTool(keyed, 'charge', { order: 'o1' })
  await answerApproval(house, await pendingId(house), 'approve')

  const made = await callTool(keyed, 'charge', { order: 'o1' })
  const repeat = await callTool(keyed, 'charge', { order: 'o1' })

  expect(textOf(repeat)).toBe(textOf(made))
  expect(effects.executions.total).toBe(1)
  expect(await approvalsOf(house)).toHaveLength(1)
})

test('a call whose server asks its caller needs one approval, and none of its rounds can be made again', async () => {
  const leaky = await startLeakyServer({ eras: 'modern' })
  const house = await startHouse({
    toml: tomlOf(leaky.url, {}).replaceAll('effects', 'leaky').replace('"destructive"', '"leaky/ask"'),
  })
  onTestFinished(async () => {
    await house.close()
    await leaky.close()
  })
  await house.listed()
  const key = await house.createKey({ user: ALICE, gateway: 'demo' })
  const line = { url: gatewayUrl(house, 'demo'), key, capabilities: { elicitation: { form: {} } } }
  await callTool(line, 'ask')
  await answerApproval(house, await pendingId(house), 'approve')

  const asked = await callTool(line, 'ask')
  const retry = {
    requestState: asked.result['requestState'] ?? null,
    inputResponses: { who: { action: 'accept', content: { name: 'Ada' } } },
  }
  const made = await callTool(line, 'ask', {}, { retry })
  const replayed = await callTool(line, 'ask', {}, { retry })

  expect(asked.result).toMatchObject({ resultType: 'input_required' })
  expect(textOf(made)).toContain('thanks for Ada')
  expect(replayed.text).toContain('requestState was used already')
  expect(await approvalsOf(house)).toMatchObject([{ state: 'used' }])
})

test('an approval is given back when nothing was sent after all', async () => {
  const { house, effects, line } = await startWith({
    toml: `
      [[gateways.rate_limits]]
      calls = 1
      seconds = 3600
      tools = ["effects/charge"]
      per = "gateway"
    `,
  })
  await callTool(line, 'charge', { order: 'o1' })
  await answerApproval(house, await pendingId(house), 'approve')
  await callTool(line, 'charge', { order: 'o1' })
  await callTool(line, 'charge', { order: 'o2' })
  const id = await pendingId(house)
  await answerApproval(house, id, 'approve')

  const limited = await callTool(line, 'charge', { order: 'o2' })

  expect(limited.result).toMatchObject({ _meta: { 'io.gatehouse/problem': { code: 'tools/rate-limited' } } })
  expect((await approvalsOf(house)).find((one) => one.id === id)?.state).toBe('approved')
  expect(effects.executions.total).toBe(1)
})

/** Somebody who is signed in, in a browser. */
async function signIn(house: TestHouse, userId: string, group: string | null) {
  const { identity } = house.gatehouse
  const by = { userId: 'test', keyId: null, face: 'cli' } as const
  const { id } = await identity.accounts.create({ userId, kind: 'person', role: 'user' }, by)
  if (group !== null) {
    await identity.accounts.createGroup(group, by)
    await identity.accounts.addMember(group, id, by)
  }
  const from = { address: '127.0.0.1', agent: 'test' }
  const { token } = await identity.sessions.start({ accountId: id, factor: 'password', from })
  return async (path: string, form?: Record<string, string>, jar = '') => {
    const cookie = `gatehouse-session=${token}${jar === '' ? '' : `; ${jar}`}`
    const headers = { cookie, origin: house.url, 'content-type': 'application/x-www-form-urlencoded' }
    const post = form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }
    const response = await fetch(`${house.url}${path}`, { headers, redirect: 'manual', ...post })
    const set = response.headers
      .getSetCookie()
      .map((one) => one.split(';')[0])
      .join('; ')
    return { status: response.status, text: await response.text(), jar: set }
  }
}

test('the page is there for members of the approving groups, and for nobody else, not even the caller', async () => {
  const { house, line } = await startWith({ approvals: 'groups = ["leads"]' })
  await callTool(line, 'charge', { order: 'o1' })
  const id = await pendingId(house)
  const lead = await signIn(house, 'lead@example.com', 'leads')
  const caller = await signIn(house, ALICE, null)
  const other = await signIn(house, 'other@example.com', null)

  const page = await lead(`/approve/${id}`)
  const ofCaller = await caller(`/approve/${id}`)
  const ofOther = await other(`/approve/${id}`)
  const nothing = await other('/approve/appr_0')
  const csrf = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? ''
  const stolen = await other(`/approve/${id}`, { answer: 'approve', csrf }, page.jar)
  const denied = await lead(`/approve/${id}`, { answer: 'deny', csrf }, page.jar)
  const after = await callTool(line, 'charge', { order: 'o1' })

  expect([page.status, ofCaller.status, ofOther.status, nothing.status, stolen.status, denied.status]).toEqual([
    200, 404, 404, 404, 404, 200,
  ])
  expect(page.text).toContain('&quot;order&quot;: &quot;o1&quot;')
  expect(after.result).toMatchObject({ _meta: { 'io.gatehouse/problem': { code: 'approvals/denied' } } })
  expect(await approvalsOf(house)).toMatchObject([{ answeredBy: 'lead@example.com', answeredVia: 'page' }])
})
