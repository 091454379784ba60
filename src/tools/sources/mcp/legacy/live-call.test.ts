import { expect, test } from 'vitest'
import { caller, testPort, toolCall } from '../testing.ts'
import { LiveCall } from './live-call.ts'

test('how far a call came while its caller was away is told when the caller is back', async () => {
  const call = toolCall('slow', {}, { wantsProgress: true })
  const port = testPort()
  const live = new LiveCall({ caller: caller(), token: 7, server: 'x', silenceMs: 10_000 })
  live.carry(new Promise(() => undefined))
  live.ask({ id: 1, method: 'roots/list', params: {} }, () => undefined)
  await live.leg(call, port)

  live.hear('notifications/progress', { progressToken: 7, progress: 2 })
  live.hear('notifications/progress', { progressToken: 7, progress: 3 })
  const back = live.leg(call, port)

  expect(port.progressed).toEqual([{ progress: 3 }])
  expect(await back).toEqual({ kind: 'asked' })
})
