import { expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { gatewayConfig } from '../config.ts'
import type { CallMethod } from '../source.ts'
import { principalOf } from '../callers/principal.ts'
import type { CallRequest } from '../tools.ts'
import { buildView } from '../views/view.ts'
import { Refused, unknownTo } from './refused.ts'
import { resolve } from './resolve.ts'

const config = gatewayConfig.parse({ slug: 'g' })
const view = buildView({ config, servers: [], toolNames: [], promptNames: [] })

const MALLORY = { userId: 'mallory', keyId: null, gateways: ['g'] }

function requestOf(method: CallMethod, params: JsonObject, era: 'legacy' | 'modern'): CallRequest {
  return {
    admission: {
      gateway: 'g',
      ...MALLORY,
      principal: principalOf(MALLORY),
      from: { face: 'mcp', remoteAddress: null },
    },
    face: 'mcp',
    method,
    params,
    session: { key: 'k', era, userId: 'mallory', clientInfo: {}, clientCapabilities: {} },
    port: { progress() {}, message() {}, notify() {} },
    wantsProgress: false,
    signal: new AbortController().signal,
  }
}

function refusalOf(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error instanceof Refused ? error.error : error
  }
}

const LONG = 'x'.repeat(300)
const ASKED: readonly [CallMethod, JsonObject][] = [
  ['tools/call', { name: LONG }],
  ['prompts/get', { name: 'p' }],
  ['resources/read', { uri: `test://${LONG}` }],
  ['completion/complete', { ref: { type: 'ref/prompt', name: 'p' } }],
  ['completion/complete', { ref: { type: 'ref/resource', uri: 'x://{y}' } }],
  ['tasks/get', { taskId: 't' }],
]
test.each(ASKED.flatMap(([method, params]) => (['legacy', 'modern'] as const).map((era) => ({ method, params, era }))))(
  'what is denied reads to the last byte like what does not exist: $method, $era',
  ({ method, params, era }) => {
    const request = requestOf(method, params, era)

    const unknown = refusalOf(() => resolve({ view, server: () => undefined, openTaskId: () => null }, request))
    const denied = unknownTo(request, 'rule 7 says no')

    expect(denied.error).toEqual(unknown)
    expect(denied.message).toBe('rule 7 says no')
  },
)
