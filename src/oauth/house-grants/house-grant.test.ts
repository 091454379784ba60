import { expect, test } from 'vitest'
import { scopeOf } from './house-grant.ts'

const offered = new Set(['mcp', 'files:write'])

test.each<[what: string, held: string[], asked: unknown, given: string]>([
  ['nothing asked for', ['mcp', 'files:write'], undefined, 'mcp files:write'],
  ['no text asked for', ['mcp'], ['files:write'], 'mcp'],
  ['an empty text asked for', ['mcp', 'files:write'], '', 'mcp files:write'],
  ['less', ['mcp', 'files:write'], 'mcp', 'mcp'],
  ['the opening scope left out', ['mcp', 'files:write'], 'files:write', 'mcp files:write'],
  ['one named twice', ['mcp', 'files:write'], 'files:write  files:write', 'mcp files:write'],
  ['what this gateway does not have', ['mcp', 'mail', 'openid'], undefined, 'mcp'],
])('a token may do what was asked for of what is held: %s', (_what, held, asked, given) => {
  expect(scopeOf({ held, offered, asked })).toBe(given)
})

test.each<[what: string, held: string[], asked: unknown, reason: RegExp]>([
  ['more than is held', ['mcp'], 'mcp files:write', /files:write cannot be had for this gateway, only mcp/],
  ['what the gateway does not have', ['mcp', 'mail'], 'mcp mail', /mail cannot be had/],
  ['the least, of nothing', [], 'mcp', /nothing there opens this gateway/],
  ['all, and nothing of it opens the gateway', ['files:write'], undefined, /it takes the scope mcp/],
])('whoever asks for more is told so: %s', (_what, held, asked, reason) => {
  expect(() => scopeOf({ held, offered, asked })).toThrow(
    expect.objectContaining({ error: 'invalid_scope', error_description: expect.stringMatching(reason) }),
  )
})
