import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { forEachEngine, openTestStorage, type TestEngine } from '../../storage/testing.ts'
import { OAUTH_MIGRATIONS } from '../migrations.ts'
import { answerOnce, type TokenAnswer } from './replay.ts'
import { createSealed } from '../sealed.ts'
import { createOauthStore } from '../store.ts'

/** Two replicas on one store; what is exchanged is counted. */
async function start(engine: TestEngine) {
  const place = await openTestStorage({ engine, migrations: OAUTH_MIGRATIONS })
  onTestFinished(() => place.close())
  const at = { now: 1_800_000_000_000 }
  const sealed = createSealed(randomBytes(32))
  const other = engine === 'postgres' ? await place.openReplica() : place.storage
  const replicas = [place.storage, other].map((storage) => {
    return { store: createOauthStore(storage), sealed, clock: { now: () => at.now } }
  })
  const exchanged: TokenAnswer[] = []
  const send = (request: string, options: { replica?: number; status?: number } = {}) => {
    const { replica = 0, status = 200 } = options
    const deps = replicas[replica]
    if (deps === undefined) throw new Error('there are two replicas')
    return answerOnce(deps, request, async () => {
      const answer = { status, body: { token: `token ${exchanged.length + 1}` } }
      exchanged.push(answer)
      return answer
    })
  }
  return { at, exchanged, send }
}

forEachEngine((engine) => {
  test('of many at once on two replicas one is exchanged, and all get that answer', async () => {
    const { exchanged, send } = await start(engine)

    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => send('refresh x', { replica: n % 2 })))

    expect(exchanged).toHaveLength(1)
    expect(new Set(answers.map((answer) => JSON.stringify(answer)))).toEqual(new Set([JSON.stringify(exchanged[0])]))
  })

  test('the answer is given for half a minute, to the very same request alone', async () => {
    const { at, exchanged, send } = await start(engine)
    const first = await send('refresh x')

    at.now += 30_000
    const inTime = await send('refresh x')
    const other = await send('refresh x with less scope')
    at.now += 1
    await send('refresh x')

    expect(inTime).toEqual(first)
    expect(other).not.toEqual(first)
    expect(exchanged).toHaveLength(3)
  })

  test('a refusal is kept for nobody: the next one is exchanged anew', async () => {
    const { exchanged, send } = await start(engine)

    const refused = await send('refresh x', { status: 400 })
    const next = await send('refresh x')

    expect([refused.status, next.status, exchanged.length]).toEqual([400, 200, 2])
  })
})
