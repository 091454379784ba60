import type { Command } from 'commander'
import * as z from 'zod'
import { UsageError } from '../failure.ts'
import { withHouse, type Api } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { printEither } from '../words/print.ts'
import { list, plain, table } from '../words/table.ts'

export function addIdentitySource(program: Command, { terminal, finish }: Verb): void {
  const source = program.command('identity-source').description('other identity providers that sign people in')
  dataCommand(source, 'list')
    .description('those of the config file, with the address to register there')
    .action((options: DataOptions) => listSources(terminal, options))
  dataCommand(source, 'preview <name>')
    .description('who somebody would be: reads the claims of an ID token (JSON, or the token itself) from stdin')
    .action((name: string, options: DataOptions) => preview(terminal, { name, options, finish }))
}

async function listSources(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const { sources } = await api.listIdentitySources()
    const rows = sources.map(({ name, kind, enabled, issuer, redirectUri }) => [
      name,
      kind,
      enabled ? 'on' : 'off',
      issuer,
      redirectUri,
    ])
    const text = table(['name', 'kind', 'state', 'issuer', 'redirect uri'], rows, terminal.columns)
    printEither(terminal, options, { json: { sources }, text: rows.length > 0 ? text : 'No identity sources.\n' })
  })
}

type Wish = { name: string; options: DataOptions; finish: Verb['finish'] }

async function preview(terminal: Terminal, { name, options, finish }: Wish): Promise<void> {
  const claims = readClaims(await terminal.readInput())
  await withHouse(terminal, options, async ({ api }) => {
    const answer = await api.previewIdentity({ params: { name }, body: { claims } })
    if (answer.outcome === 'refused') finish(1)
    printEither(terminal, options, { json: answer, text: describe(answer) })
  })
}

const claimsSchema = z.record(z.string().max(200), z.json())

function jsonOrNull(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** An ID token is three parts with dots between them; the second holds the claims. Its signature is not looked at. */
function readClaims(text: string): z.output<typeof claimsSchema> {
  const trimmed = text.trim()
  const [, payload] = /^[\w-]+\.([\w-]+)\.[\w-]*$/.exec(trimmed) ?? []
  const json = payload === undefined ? trimmed : Buffer.from(payload, 'base64url').toString()
  const claims = claimsSchema.safeParse(jsonOrNull(json))
  if (claims.success) return claims.data
  throw new UsageError('Pass the claims on stdin: a JSON object, or an ID token.')
}

const OUTCOMES = {
  known: 'an account that is there',
  'must-link': 'there is such an account; its owner would be asked to link it',
  created: 'the account would be made',
  refused: 'would not be let in',
} as const

function describe(answer: Awaited<ReturnType<Api['previewIdentity']>>): string {
  const { outcome, userId, reason, subject, name, groups } = answer
  const head = userId === null ? `Would not be let in: ${plain(reason ?? '')}.\n` : `You would be: ${plain(userId)}\n`
  const facts = list([
    ['outcome', OUTCOMES[outcome]],
    ['linked by', subject ?? '-'],
    ['name', name ?? '-'],
    ['groups', groups.join(', ') || '-'],
  ])
  return `${head}${facts}`
}
