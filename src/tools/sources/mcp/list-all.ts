import { isJsonObject, type JsonObject } from '#kernel'
import type { Definition, Offer, RpcError } from '../../source.ts'
import { objectAt, stringAt } from './json.ts'
import { brokenReply, tooLarge } from './reasons.ts'

/** Asks for one page. */
export type ListPage = (method: string, params: JsonObject) => Promise<{ result: JsonObject; bytes: number } | RpcError>

export type Lists = Pick<Offer, 'tools' | 'resources' | 'templates' | 'prompts'>

const MAX_PAGES = 200
const MAX_ITEMS = 20_000
const METHOD_NOT_FOUND = -32601

type Budget = { pages: number; items: number; bytes: number }

/** Asks for everything that the capabilities promise, page by page, within limits over all lists together. */
export async function listAll(asked: {
  server: string
  capabilities: JsonObject
  maxBytes: number
  page: ListPage
}): Promise<Lists> {
  const budget: Budget = { pages: MAX_PAGES, items: MAX_ITEMS, bytes: asked.maxBytes }
  const list = (capability: string, method: string, key: string) =>
    isJsonObject(asked.capabilities[capability]) ? listOne({ ...asked, method, key, budget }) : Promise.resolve([])
  const tools = await list('tools', 'tools/list', 'tools')
  const prompts = await list('prompts', 'prompts/list', 'prompts')
  const resources = await list('resources', 'resources/list', 'resources')
  const templates = await list('resources', 'resources/templates/list', 'resourceTemplates')
  return { tools, resources, templates, prompts }
}

async function listOne(list: {
  server: string
  maxBytes: number
  page: ListPage
  method: string
  key: string
  budget: Budget
}): Promise<readonly Definition[]> {
  const { server, method, budget } = list
  const found: Definition[] = []
  let cursor: string | undefined
  do {
    budget.pages -= 1
    if (budget.pages < 0) throw brokenReply(server, `has more than ${MAX_PAGES} pages of definitions`)
    const page = await list.page(method, cursor === undefined ? {} : { cursor })
    if ('code' in page) {
      if (page.code === METHOD_NOT_FOUND) return found
      throw brokenReply(server, `answered ${method} with error ${page.code}: ${String(page.message).slice(0, 200)}`)
    }
    budget.bytes -= page.bytes
    if (budget.bytes < 0) throw tooLarge(server, list.maxBytes)
    const items = page.result[list.key]
    if (!Array.isArray(items)) throw brokenReply(server, `answered ${method} without "${list.key}"`)
    for (const item of items) if (isJsonObject(item)) found.push(item)
    budget.items -= items.length
    if (budget.items < 0) throw brokenReply(server, `has more than ${MAX_ITEMS} definitions`)
    cursor = stringAt(page.result, 'nextCursor')
  } while (cursor !== undefined)
  return found
}

/** The server's name and version wherever its era puts it. */
export function serverInfoOf(result: JsonObject): JsonObject {
  if (isJsonObject(result['serverInfo'])) return result['serverInfo']
  return objectAt(objectAt(result, '_meta'), 'io.modelcontextprotocol/serverInfo')
}
