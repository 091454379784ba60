import { describe, expect, test } from 'vitest'
import type { JsonObject } from '#kernel'
import { LISTS_TOO_MUCH } from '../../problems.ts'
import { Payload } from '../../payload.ts'
import { listAll, type ListPage } from './list-all.ts'

const list = (page: ListPage) => listAll({ server: 's', capabilities: { tools: {} }, page })
const pageOf = (value: JsonObject) => ({ result: Payload.ofValue(value) })
const sized = (bytes: number) => ({
  result: Payload.ofBytes(Buffer.from(`{"tools":[],"nextCursor":"x"${' '.repeat(bytes)}}`)),
})

describe('listing everything', () => {
  test('follows the cursors and keeps unknown fields', async () => {
    const pages = [{ tools: [{ name: 'a', 'x-new': [1] }], nextCursor: 'p2' }, { tools: [{ name: 'b' }, 'nonsense'] }]
    const cursors: unknown[] = []

    const { tools, prompts } = await list(async (_method, params) => {
      cursors.push(params['cursor'])
      return pageOf(pages.shift() ?? {})
    })

    expect(tools).toEqual([{ name: 'a', 'x-new': [1] }, { name: 'b' }])
    expect(prompts).toEqual([])
    expect(cursors).toEqual([undefined, 'p2'])
  })

  test.each<[string, ListPage, string]>([
    ['pages', async () => pageOf({ tools: [], nextCursor: 'x' }), 'more than 200 pages'],
    ['items', async () => pageOf({ tools: Array(7_000).fill({}), nextCursor: 'x' }), '10000 definitions'],
    ['bytes', async () => sized(4_000_000), '16777216 bytes'],
  ])('stops a server that lists %s without end', async (_what, page, reason) => {
    await expect(list(page)).rejects.toMatchObject({ kind: LISTS_TOO_MUCH, message: expect.stringContaining(reason) })
  })

  test('a page that is too large is not even parsed', async () => {
    const notJson = { result: Payload.ofBytes(Buffer.alloc(5_000_000)) }

    await expect(list(async () => notJson)).rejects.toThrow('more than 4194304 bytes on one page')
  })

  test('a list that the server does not have after all is empty, another error is a reason', async () => {
    const missing = await list(async () => ({ code: -32601, message: 'none' }))

    expect(missing.tools).toEqual([])
    await expect(list(async () => ({ code: -32603, message: 'broken' }))).rejects.toThrow('error -32603: broken')
  })
})
