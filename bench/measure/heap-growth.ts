import { readFile } from 'node:fs/promises'
import { z } from 'zod'

/** What one kind of object takes in a heap: strings and arrays count by their type, objects by their constructor. */
type Kind = { count: number; bytes: number }
export type Growth = { readonly what: string; readonly count: number; readonly bytes: number }

const snapshot = z.object({
  snapshot: z.object({
    meta: z.object({
      node_fields: z.array(z.string()),
      node_types: z.tuple([z.array(z.string())]).rest(z.unknown()),
    }),
  }),
  nodes: z.array(z.number()),
  strings: z.array(z.string()),
})

/** What there is more of in the second of two heap snapshots (`v8.writeHeapSnapshot`), by its own bytes, the most first. */
export async function heapGrowth(before: string, after: string): Promise<Growth[]> {
  const [first, second] = [await kindsIn(before), await kindsIn(after)]
  return [...second]
    .map(([what, { count, bytes }]) => {
      const old = first.get(what) ?? { count: 0, bytes: 0 }
      return { what, count: count - old.count, bytes: bytes - old.bytes }
    })
    .toSorted((a, b) => b.bytes - a.bytes)
}

const BY_NAME: ReadonlySet<string | undefined> = new Set(['object', 'closure', 'native', 'code'])

async function kindsIn(file: string): Promise<Map<string, Kind>> {
  const { snapshot: about, nodes, strings } = snapshot.parse(JSON.parse(await readFile(file, 'utf8')))
  const fields = about.meta.node_fields
  const [typeNames] = about.meta.node_types
  const at = { type: fields.indexOf('type'), name: fields.indexOf('name'), size: fields.indexOf('self_size') }
  const kinds = new Map<string, Kind>()
  for (let node = 0; node < nodes.length; node += fields.length) {
    const type = typeNames[nodes[node + at.type] ?? 0]
    const name = (strings[nodes[node + at.name] ?? 0] ?? '').slice(0, 60)
    const what = BY_NAME.has(type) ? `${type} ${name}` : `(${type})`
    const kind = kinds.get(what) ?? { count: 0, bytes: 0 }
    kind.count += 1
    kind.bytes += nodes[node + at.size] ?? 0
    kinds.set(what, kind)
  }
  return kinds
}
