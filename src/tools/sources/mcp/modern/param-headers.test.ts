import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeHeader, paramHeadersOf, readParamHeaders } from './param-headers.ts'

const tool = (inputSchema: object) => ({ name: 't', inputSchema: JSON.parse(JSON.stringify(inputSchema)) })
const header = (name: string, type = 'string') => ({ type, 'x-mcp-header': name })

describe('header annotations', () => {
  test('are found at any depth of properties, and mirror what is there', () => {
    const schema = {
      properties: {
        region: header('Region'),
        count: header('Count', 'integer'),
        deep: { type: 'object', properties: { flag: header('Flag', 'boolean') } },
        'x-mcp-header': { type: 'string' },
      },
    }

    const headers = readParamHeaders(tool(schema))
    const sent =
      'invalid' in headers ? {} : paramHeadersOf(headers, { region: ' a', count: 3, deep: { flag: false }, x: 1 })
    const none = 'invalid' in headers ? {} : paramHeadersOf(headers, { region: null, deep: 'x' })

    expect(sent).toEqual({ 'mcp-param-Region': '=?base64?IGE=?=', 'mcp-param-Count': '3', 'mcp-param-Flag': 'false' })
    expect(none).toEqual({})
  })

  test.each([
    ['a type that has no header form', { properties: { a: header('A', 'object') } }],
    ['no type', { properties: { a: { 'x-mcp-header': 'A' } } }],
    ['a name that is no token', { properties: { a: header('A B') } }],
    ['an empty name', { properties: { a: header('') } }],
    ['a name that is no string', { properties: { a: { type: 'string', 'x-mcp-header': 1 } } }],
    ['the same name twice', { properties: { a: header('A'), b: header('a') } }],
    ['items of a list', { properties: { a: { type: 'array', items: { properties: { b: header('B') } } } } }],
    ['a branch', { anyOf: [{ properties: { a: header('A') } }] }],
    ['a shared definition', { $defs: { d: { properties: { a: header('A') } } } }],
    ['the whole', { type: 'string', 'x-mcp-header': 'All' }],
  ])('are invalid on %s', (_what, schema) => {
    expect(readParamHeaders(tool(schema))).toHaveProperty('invalid')
  })

  test('any value comes back from its header, which is plain ASCII', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        const encoded = encodeHeader(value)
        const inner = /^=\?base64\?(.*)\?=$/.exec(encoded)?.[1]

        expect(encoded).toMatch(/^[\x20-\x7e]*$/)
        expect(encoded).toBe(encoded.trim())
        expect(inner === undefined ? encoded : Buffer.from(inner, 'base64').toString('utf8')).toBe(value)
      }),
    )
  })

  test('a value that looks encoded is encoded', () => {
    expect(encodeHeader('=?base64?YQ==?=')).not.toBe('=?base64?YQ==?=')
  })
})
