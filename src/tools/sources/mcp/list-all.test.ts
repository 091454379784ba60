import { describe, expect, test } from 'vitest'
import { listAll, type ListPage } from './list-all.ts'

const list = (page: ListPage, maxBytes = 1_000_000) =>
  listAll({ server: 's', capabilities: { tools: {} }, maxBytes, page })

describe('listing everything', () => {
  test('follows the cursors and keeps unknown fields', async () => {
    const pages = [{ tools: [{ name: 'a', 'x-new': [1] }], nextCursor: 'p2' }, { tools: [{ name: 'b' }, 'nonsense'] }]
    const cursors: unknown[] = []

    const { tools, prompts } = await list(async (_method, params) => {
      cursors.push(params['cursor'])
      return { result: pages.shift() ?? {}, bytes: 10 }
    })

    expect(tools).toEqual([{ name: 'a', 'x-new': [1] }, { name: 'b' }])
    expect(prompts).toEqual([])
    expect(cursors).toEqual([undefined, 'p2'])
  })

  test.each([
    ['pages', async () => ({ result: { tools: [], nextCursor: 'x' }, bytes: 1 }), /more than 200 pages/],
    [
      'items',
      async () => ({ result: { tools: Array.from({ length: 7_000 }, () => ({})), nextCursor: 'x' }, bytes: 1 }),
      /20000 definitions/,
    ],
    ['bytes', async () => ({ result: { tools: [], nextCursor: 'x' }, bytes: 400_000 }), /more than 1000000 bytes/],
  ])('stops a server that sends %s without end', async (_what, page, reason) => {
    await expect(list(page)).rejects.toThrow(reason)
  })

  test('a list that the server does not have after all is empty, another error is a reason', async () => {
    const missing = await list(async () => ({ code: -32601, message: 'none' }))

    expect(missing.tools).toEqual([])
    await expect(list(async () => ({ code: -32603, message: 'broken' }))).rejects.toThrow('error -32603: broken')
  })
})
