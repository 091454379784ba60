/**
 * Stands for servers with much and strange to list: it answers `tools/list` page by page with the definitions it was
 * given, as raw JSON and in either era, so that a test can compare bytes. A call answers with the call's own params.
 */
import { isJsonObject, type JsonObject } from '#kernel'
import { listen, parseObject, readText, sendJson, type Listening } from './listen.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'

export type CatalogueServer = Listening & {
  readonly pages: number
  /** Every call as it came: headers and message. */
  readonly calls: readonly unknown[]
}

export async function startCatalogueServer(options: {
  era: 'legacy' | 'modern'
  tools: readonly JsonObject[]
  pageSize?: number
  /** The result of every call, as JSON. */
  result?: string
}): Promise<CatalogueServer> {
  const { era, tools, pageSize = 100, result = '{"content":[]}' } = options
  let pages = 0
  const calls: unknown[] = []
  const listPage = (cursor: unknown): string => {
    pages += 1
    const start = Number(cursor ?? 0)
    const end = start + pageSize
    const next = end < tools.length ? `,"nextCursor":"${end}"` : ''
    const cache = era === 'modern' ? ',"resultType":"complete","ttlMs":0,"cacheScope":"private"' : ''
    return `{"tools":${JSON.stringify(tools.slice(start, end))}${next}${cache}}`
  }
  const resultOf = (method: unknown, params: JsonObject): string | undefined => {
    switch (method) {
      case 'server/discover':
        return era === 'modern' ? DISCOVERED : undefined
      case 'initialize':
        return era === 'legacy' ? INITIALIZED : undefined
      case 'tools/list':
        return listPage(params['cursor'])
      case 'tools/call':
        return era === 'modern' ? `${result.slice(0, -1)},"resultType":"complete"}` : result
      default:
        return undefined
    }
  }
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    if (req.method !== 'POST') return void res.writeHead(405, { allow: 'POST' }).end()
    const message = parseObject(await readText(req)) ?? {}
    if (message['method'] === 'tools/call') calls.push([req.headers, message])
    if (message['id'] === undefined) return void res.writeHead(202).end()
    const id = JSON.stringify(message['id'])
    const said = resultOf(message['method'], isJsonObject(message['params']) ? message['params'] : {})
    if (said === undefined) {
      const error = { code: -32601, message: 'Method not found' }
      return sendJson(res, era === 'modern' ? 404 : 200, { jsonrpc: '2.0', id: message['id'], error })
    }
    res.writeHead(200, { 'content-type': 'application/json' }).end(`{"jsonrpc":"2.0","id":${id},"result":${said}}`)
  }
  const http = await listen((req, res) => void answer(req, res).catch(() => res.destroy()))
  return {
    ...http,
    calls,
    get pages() {
      return pages
    },
  }
}

const INFO = '{"name":"catalogue","version":"1.0.0"}'
const INITIALIZED = `{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":${INFO}}`
const DISCOVERED = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"ttlMs":0,"cacheScope":"private","_meta":{"io.modelcontextprotocol/serverInfo":${INFO}}}`
