import { isJsonObject, isProblem, type JsonObject, type Problem } from '#kernel'
import { LIST_LIMITS, listsTooMuch } from '../../catalog/list-limits.ts'
import { TOO_LARGE } from '../../problems.ts'
import type { Payload } from '../../payload.ts'
import type { Definition, Offer, RpcError } from '../../source.ts'
import { objectAt, stringAt } from './json.ts'
import { brokenReply } from './reasons.ts'

/** Asks for one page, of which no more than `LIST_LIMITS.pageBytes` are read. */
export type ListPage = (method: string, params: JsonObject) => Promise<{ readonly result: Payload } | RpcError>

export type Lists = Pick<Offer, 'tools' | 'resources' | 'templates' | 'prompts'>

const METHOD_NOT_FOUND = -32601

type Budget = { pages: number; items: number; bytes: number }

/** Asks for everything that the capabilities promise, page by page, within limits over all lists together. */
export async function listAll(asked: { server: string; capabilities: JsonObject; page: ListPage }): Promise<Lists> {
  const budget: Budget = { ...LIST_LIMITS }
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
    if (budget.pages < 0) throw listsTooMuch(server, `${LIST_LIMITS.pages} pages`)
    const page = await list.page(method, cursor === undefined ? {} : { cursor }).catch((error: unknown) => {
      throw isProblem(error, TOO_LARGE) ? tooLargeAPage(server) : error
    })
    if ('code' in page) {
      if (page.code === METHOD_NOT_FOUND) return found
      throw brokenReply(server, `answered ${method} with error ${page.code}: ${String(page.message).slice(0, 200)}`)
    }
    const value = parsePage(server, page.result, budget)
    const items = value[list.key]
    if (!Array.isArray(items)) throw brokenReply(server, `answered ${method} without "${list.key}"`)
    for (const item of items) if (isJsonObject(item)) found.push(item)
    budget.items -= items.length
    if (budget.items < 0) throw listsTooMuch(server, `${LIST_LIMITS.items} definitions`)
    cursor = stringAt(value, 'nextCursor')
  } while (cursor !== undefined)
  return found
}

function tooLargeAPage(server: string): Problem {
  return listsTooMuch(server, `${LIST_LIMITS.pageBytes} bytes on one page`)
}

/** A page that is too large is never parsed, and mostly was not even read to its end. */
function parsePage(server: string, page: Payload, budget: Budget): JsonObject {
  const size = page.bytes().length
  if (size > LIST_LIMITS.pageBytes) throw tooLargeAPage(server)
  budget.bytes -= size
  if (budget.bytes < 0) throw listsTooMuch(server, `${LIST_LIMITS.bytes} bytes`)
  return page.value()
}

/** The server's name and version wherever its era puts it. */
export function serverInfoOf(result: JsonObject): JsonObject {
  if (isJsonObject(result['serverInfo'])) return result['serverInfo']
  return objectAt(objectAt(result, '_meta'), 'io.modelcontextprotocol/serverInfo')
}
