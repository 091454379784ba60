/** `docs/errors.md`: every Problem that the code knows, with the texts of `error-texts.toml`. */
import { globSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parse } from 'smol-toml'
import { z } from 'zod'
import { root } from './steps.ts'

const kind = z.object({
  code: z.string().regex(/^[a-z]+\/[a-z-]+$/),
  status: z.int(),
  title: z.string(),
  rpc: z.int().optional(),
})
type Kind = z.output<typeof kind>

const text = z.strictObject({ meaning: z.string().min(1), do: z.string().min(1) })
const texts = z.record(z.string(), z.record(z.string(), text))

/** Rooms in the order in which a reader meets them. */
const ROOMS: Readonly<Record<string, string>> = {
  identity: 'Keys and users',
  login: 'The login policy',
  oauth: 'Access tokens and OAuth clients',
  signin: 'The sign-in pages',
  gateway: 'MCP requests',
  policy: 'Grants and rules',
  tools: 'Servers, tools and calls',
  approvals: 'Approvals',
  content: 'What may pass',
  http: 'The admin API and outgoing requests',
  audit: 'The audit trail',
  config: 'The configuration file',
  storage: 'The database',
  main: 'Starting',
}

/** The page. Throws when a problem has no text, a text no problem, or a file keeps a problem to itself. */
export async function makeErrorsPage(): Promise<string> {
  const [intro, described, kinds] = await Promise.all([
    readFile(join(root, 'scripts/errors-intro.md'), 'utf8'),
    readTexts(),
    collectKinds(),
  ])
  const orphans = [...described.keys()].filter((code) => !kinds.some((known) => known.code === code))
  if (orphans.length > 0) throw new Error(`error-texts.toml describes what no code raises: ${orphans.join(', ')}`)
  const rows = kinds.map((known) => ({ room: known.code.split('/')[0] ?? '', line: rowOf(known, described) }))
  const sections = Object.entries(ROOMS).map(([room, title]) => {
    const lines = rows.filter((row) => row.room === room).map(({ line }) => line)
    return `## ${title}\n\n| code | status | title and meaning | what to do |\n| --- | --- | --- | --- |\n${lines.join('\n')}\n`
  })
  const strange = rows.find(({ room }) => !Object.hasOwn(ROOMS, room))
  if (strange) throw new Error(`errors-page.ts has no heading for the room "${strange.room}"`)
  return `${intro}\n${sections.join('\n')}`
}

type Described = ReadonlyMap<string, z.output<typeof text>>

async function readTexts(): Promise<Described> {
  const byRoom = texts.parse(parse(await readFile(join(root, 'scripts/error-texts.toml'), 'utf8')))
  return new Map(Object.values(byRoom).flatMap((room) => Object.entries(room)))
}

function rowOf({ code, status, title, rpc }: Kind, described: Described): string {
  const said = described.get(code)
  if (!said) throw new Error(`scripts/error-texts.toml says nothing about ${code}`)
  const shown = rpc === undefined ? `${status}` : `${status}, ${rpc}`
  return `| \`${code}\` | ${shown} | **${title}.** ${said.meaning} | ${said.do} |`
}

/** Imports every file that writes a code down, and takes the constants it exports. */
async function collectKinds(): Promise<readonly Kind[]> {
  const files = globSync('src/**/*.ts', { cwd: root }).filter((file) => !/test/.test(file))
  const found = await Promise.all(files.map(kindsOf))
  const byCode = new Map(found.flat().map((known) => [known.code, known]))
  return [...byCode.values()].toSorted((a, b) => (a.code < b.code ? -1 : 1))
}

const WRITTEN = /\bcode: '([a-z]+\/[a-z-]+)'/g

async function kindsOf(file: string): Promise<readonly Kind[]> {
  const source = await readFile(join(root, file), 'utf8')
  const written = [...source.matchAll(WRITTEN)].map(([, code]) => code)
  if (written.length === 0) return []
  const module: unknown = await import(pathToFileURL(join(root, file)).href)
  const exported = Object.values(z.record(z.string(), z.unknown()).parse({ ...Object(module) }))
  const kinds = exported.flatMap((value) => {
    const parsed = kind.safeParse(value)
    return parsed.success ? [parsed.data] : []
  })
  const kept = written.filter((code) => !kinds.some((known) => known.code === code))
  if (kept.length > 0) throw new Error(`${file} does not export ${kept.join(', ')}`)
  return kinds
}
