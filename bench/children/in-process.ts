import { z } from 'zod'
import type { Gatehouse } from '../../src/main/index.ts'

const order = z.object({
  calls: z.number(),
  atOnce: z.number(),
  key: z.string(),
  gateway: z.string().default('builtin'),
})

/** Makes calls of the built-in echo tool through the pipeline, with no protocol and no network around it. */
export async function callInProcess(gatehouse: Pick<Gatehouse, 'tools'>, given: unknown) {
  const { calls, atOnce, key, gateway } = order.parse(given)
  const { tools } = gatehouse
  const session = { key: 'bench', era: 'modern', userId: 'bench@example.com', clientInfo: {}, clientCapabilities: {} }
  const credentials = { authorization: `Bearer ${key}`, remoteAddress: '127.0.0.1' }
  const port = { progress: () => {}, message: () => {}, notify: () => {} }
  let left = calls
  const caller = async () => {
    while (left > 0) {
      left -= 1
      const admission = tools.admit({ gateway, credentials, face: 'mcp' })
      const outcome = await tools.call({
        admission,
        face: 'mcp',
        method: 'tools/call',
        params: { name: 'echo', arguments: { text: `hello ${left}` } },
        session: { ...session, era: 'modern' },
        port,
        wantsProgress: false,
        signal: new AbortController().signal,
      })
      if (outcome.kind !== 'complete') throw new Error(`a call ended as ${outcome.kind}`)
    }
  }
  const before = process.cpuUsage()
  const started = performance.now()
  await Promise.all(Array.from({ length: atOnce }, caller))
  const { user, system } = process.cpuUsage(before)
  return { cpuMicrosPerCall: (user + system) / calls, callsPerSecond: calls / ((performance.now() - started) / 1000) }
}
