import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FaceContext } from '../context.ts'
import { DEFAULT_LIMITS } from '../limits.ts'
import { OpenExchanges } from '../open-exchanges.ts'
import { Pulse } from '../pulse.ts'
import { HandClock, silentLog, TinyTools } from '../testing.ts'
import type { Owner } from './session.ts'
import { Sessions } from './sessions.ts'

function createSessions(limits: Partial<typeof DEFAULT_LIMITS> = {}) {
  const clock = new HandClock()
  const tools = new TinyTools()
  const pulse = new Pulse(clock, 1000)
  const face: FaceContext = {
    tools,
    clock,
    log: silentLog,
    limits: { ...DEFAULT_LIMITS, ...limits },
    house: { name: 'gatehouse', version: '0' },
    houseJson: '{}',
    replica: undefined,
    addressOf: () => '127.0.0.1',
    pulse,
    open: new OpenExchanges(tools),
  }
  return { sessions: new Sessions(face), clock, tools, pulse }
}

const admission = (n: number): Owner => ({ gateway: 'demo', userId: `user-${n}`, keyId: `key_${n}` })
const client = () => ({
  protocolVersion: '2025-11-25',
  profile: {
    clientInfo: { name: 'a client with a name', version: '1.2.3', title: 'x'.repeat(500) },
    clientCapabilities: { sampling: {}, roots: { listChanged: true }, elicitation: {} },
  },
})

setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')
function heapUsed(): number {
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

describe('sessions', () => {
  it('cost less than 2 KB each while idle, and nothing after they have expired', async () => {
    const { sessions, clock, pulse, tools } = createSessions()
    const before = heapUsed()
    for (let n = 0; n < 20_000; n += 1) sessions.open(admission(n % 50), client())
    const bytesEach = (heapUsed() - before) / 20_000

    clock.advance(DEFAULT_LIMITS.sessionIdleMs)
    for (let beats = 0; beats < 10; beats += 1) pulse.beat()
    tools.ended.length = 0
    await new Promise((resolve) => setImmediate(resolve))
    const after = heapUsed()

    expect(sessions.count).toBe(0)
    expect(bytesEach).toBeLessThan(2048)
    expect(after).toBeLessThan(before * 1.1)
    pulse.close()
  })

  it('have ids of at least 128 random bits, and a key that does not give the id away', () => {
    const { sessions, pulse } = createSessions()
    const session = sessions.open(admission(1), client())

    expect(session.id).toMatch(/^[\w-]{32}$/)
    expect(session.key).not.toContain(session.id)
    pulse.close()
  })

  it('make room for new ones, the longest idle first, and not for another key', () => {
    const { sessions, tools, clock, pulse } = createSessions({ sessionsPerKey: 2 })
    const other = sessions.open(admission(2), client())
    const first = sessions.open(admission(1), client())
    clock.advance(1)
    const second = sessions.open(admission(1), client())
    sessions.find(first.id, admission(1))

    sessions.open(admission(1), client())

    expect(sessions.find(second.id, admission(1))).toBeNull()
    expect(sessions.find(first.id, admission(1))).toBe(first)
    expect(sessions.find(other.id, admission(2))).toBe(other)
    expect(tools.ended).toEqual([second.key])
    pulse.close()
  })

  it('of clients that talk at length about themselves are fewer', () => {
    const { sessions, pulse } = createSessions()
    const other = sessions.open(admission(2), client())

    for (let n = 0; n < 1_000; n += 1) {
      const profile = { clientInfo: { name: `${n}`.padEnd(60_000, 'x') }, clientCapabilities: {} }
      sessions.open(admission(1), { protocolVersion: '2025-11-25', profile })
    }

    expect(sessions.count).toBeLessThan(450)
    expect(sessions.find(other.id, admission(2))).toBe(other)
    pulse.close()
  })

  it('are not ended while a call runs, and refuse to be more than the limit then', () => {
    const { sessions, clock, pulse } = createSessions({ sessionsTotal: 1 })
    const busy = sessions.open(admission(1), client())
    busy.beginCall(1, new AbortController())
    clock.advance(DEFAULT_LIMITS.sessionIdleMs)
    pulse.beat()

    expect(() => sessions.open(admission(2), client())).toThrow('All sessions')
    expect(sessions.find(busy.id, admission(1))).toBe(busy)
    pulse.close()
  })

  it('never go beyond their limits nor lose count, whatever happens to them', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('open' as const), key: fc.integer({ min: 0, max: 3 }) }),
      fc.record({ do: fc.constant('end' as const), at: fc.nat(20) }),
      fc.record({ do: fc.constant('use' as const), at: fc.nat(20) }),
      fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 2000 }) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { sessions, clock, pulse, tools } = createSessions({
          sessionsTotal: 6,
          sessionsPerKey: 3,
          sessionIdleMs: 3000,
        })
        let opened = 0
        for (const one of steps) {
          const session = 'at' in one ? [...sessions.list].at(one.at) : undefined
          if (one.do === 'open' && sessions.open(admission(one.key), client())) opened += 1
          if (one.do === 'end' && session !== undefined) sessions.end(session)
          if (one.do === 'use' && session !== undefined) sessions.find(session.id, session.owner)
          if (one.do === 'wait') clock.advance(one.ms)
          pulse.beat()
          const perKey = [...sessions.list].filter((item) => item.owner.keyId === 'key_0').length
          expect(sessions.count).toBeLessThanOrEqual(6)
          expect(perKey).toBeLessThanOrEqual(3)
          expect(tools.ended.length + sessions.count).toBe(opened)
        }
        pulse.close()
      }),
    )
  })
})
