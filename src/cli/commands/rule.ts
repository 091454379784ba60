import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Option, type Command } from 'commander'
import { parse as parseToml } from 'smol-toml'
import { contentRule, type ContentRule } from '#content'
import { isJsonObject, unlessCode, type JsonObject } from '#kernel'
import { UsageError } from '../failure.ts'
import { withHouse } from '../reach.ts'
import type { Terminal } from '../terminal.ts'
import { dataCommand, type DataOptions, type Verb } from '../verb.ts'
import { faultsIn } from '../words/faults.ts'
import { count, printEither } from '../words/print.ts'
import { list, table } from '../words/table.ts'

export function addRule(program: Command, { terminal, finish }: Verb): void {
  const rule = program.command('rule').description('content rules: what may pass to tools and back')
  dataCommand(rule, 'add')
    .description('make a content rule, or the next version of the one with its name')
    .requiredOption('--file <file>', 'one rule as JSON or TOML, with the keys of [[content_rules]]; "-": from stdin')
    .action((options: AddOptions) => add(terminal, options))
  dataCommand(rule, 'list')
    .description('all content rules, in the order in which they apply')
    .action((options: DataOptions) => listRules(terminal, options))
  dataCommand(rule, 'show <name>')
    .description('one content rule')
    .action((name: string, options: DataOptions) => show(terminal, name, options))
  dataCommand(rule, 'remove <name>')
    .description('take a content rule out of force')
    .action((name: string, options: DataOptions) => remove(terminal, name, options))
  dataCommand(rule, 'test')
    .description('show what rules would do to a message; nothing is stored or sent. Fails where it would not pass')
    .option(
      '--rule <rule>',
      'the name of a rule, or the file of one that is not stored; without it, all rules together',
    )
    .requiredOption('--input <json>', 'the arguments, or with --phase output the whole result')
    .addOption(new Option('--phase <phase>', 'which way it goes').choices(['input', 'output']).default('input'))
    .option('--gateway <slug>', 'rules for this gateway only')
    .option('--tool <tool>', 'rules for this tool only: server/tool')
    .option('--user <user>', 'rules for this user only')
    .action(async (options: TestOptions) => finish((await tryRules(terminal, options)) ? 0 : 1))
}

type AddOptions = DataOptions & { file: string }

async function add(terminal: Terminal, options: AddOptions): Promise<void> {
  const body = await readRule(terminal, options.file)
  await withHouse(terminal, options, async ({ api }) => {
    const saved = await api.saveContentRule({ body })
    const text = `Rule ${saved.name} is in force, version ${saved.version}.\n`
    printEither(terminal, options, { json: saved, text })
  })
}

async function readRule(terminal: Terminal, file: string): Promise<ContentRule> {
  const text = file === '-' ? await terminal.readInput() : await readFile(resolve(terminal.cwd, file), 'utf8')
  const value = text.trimStart().startsWith('{') ? parseJson(text, file) : ruleIn(parseToml(text))
  const parsed = contentRule.safeParse(value)
  if (parsed.success) return parsed.data
  throw new UsageError(`${file} is no content rule:\n${faultsIn(parsed.error)}`)
}

/** A file may hold the rule itself, or a single `[[content_rules]]` to be moved into gatehouse.toml later. */
function ruleIn(toml: object): unknown {
  const rules: unknown = 'content_rules' in toml ? toml.content_rules : undefined
  return Array.isArray(rules) && rules.length === 1 ? rules[0] : toml
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new UsageError(`${what} is not JSON: ${error instanceof Error ? error.name : ''}`)
  }
}

async function listRules(terminal: Terminal, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const { rules } = await api.listContentRules()
    const sorted = rules.toSorted((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1))
    const rows = sorted.map(({ name, phase, effect, enabled, version, origin, ...rule }) => {
      return [name, phase, effect, enabled ? 'on' : 'off', version, origin, matchOf(rule)]
    })
    const text = table(['rule', 'phase', 'effect', 'state', 'version', 'from', 'looks for'], rows, terminal.columns)
    printEither(terminal, options, {
      json: { rules: sorted },
      text: rules.length > 0 ? text : 'No content rules yet.\n',
    })
  })
}

type Match = Pick<ContentRule, 'path' | 'pattern' | 'detect' | 'url_hosts' | 'url_paths' | 'sql_verbs' | 'larger_than'>

function matchOf({ path, pattern, detect, larger_than: size, ...rule }: Match): string {
  const parts = [
    path,
    pattern === undefined ? undefined : `/${pattern}/`,
    ...detect,
    ...rule.url_hosts,
    ...rule.url_paths,
    ...rule.sql_verbs,
    size === undefined ? undefined : `> ${size} bytes`,
  ]
  return parts.filter((part) => part !== undefined).join(' ')
}

async function show(terminal: Terminal, name: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    const rule = await api.getContentRule({ params: { name } })
    const pairs = Object.entries(rule).filter(([, value]) => !Array.isArray(value) || value.length > 0)
    const text = list(pairs.map(([key, value]) => [key, Array.isArray(value) ? value.join(' ') : String(value)]))
    printEither(terminal, options, { json: rule, text })
  })
}

async function remove(terminal: Terminal, name: string, options: DataOptions): Promise<void> {
  await withHouse(terminal, options, async ({ api }) => {
    await api.removeContentRule({ params: { name } })
    printEither(terminal, options, { json: { removed: name }, text: `Rule ${name} is out of force.\n` })
  })
}

type TestOptions = DataOptions & {
  rule?: string
  input: string
  phase: 'input' | 'output'
  gateway?: string
  tool?: string
  user?: string
}

async function tryRules(terminal: Terminal, options: TestOptions): Promise<boolean> {
  const { phase, gateway, tool, user, rule } = options
  const value = parseJson(options.input, '--input')
  if (!isJsonObject(value)) throw new UsageError('--input must be a JSON object: the arguments, or a whole result.')
  const chosen = rule === undefined ? {} : await chooseRule(terminal, rule)
  return withHouse(terminal, options, async ({ api }) => {
    const scope = { ...(gateway && { gateway }), ...(tool && { tool }), ...(user && { user }) }
    const result = await api.tryContentRules({ body: { phase, value, ...chosen, ...scope } })
    printEither(terminal, options, { json: result, text: describe(result) })
    return result.outcome === 'passes' || result.outcome === 'changed'
  })
}

/** A file where there is one of that name; else the name of a stored rule. */
async function chooseRule(terminal: Terminal, rule: string): Promise<{ rule: ContentRule } | { name: string }> {
  const text = await readFile(resolve(terminal.cwd, rule), 'utf8').catch(unlessCode('ENOENT'))
  return text === undefined ? { name: rule } : { rule: await readRule(terminal, rule) }
}

type Tried = {
  readonly outcome: string
  readonly by: string | null
  readonly value: Readonly<Record<string, unknown>> | null
  readonly applied: readonly { rule: string; effect: string; found: number }[]
}

function describe({ outcome, by, value, applied }: Tried): string {
  const found = applied.map(
    ({ rule, effect, found: times }) => `  ${rule} (${effect}) found ${count(times, 'place')}\n`,
  )
  const decided = by === null ? `${outcome}\n` : `${outcome} by ${by}\n`
  return `${decided}${found.join('')}${value === null ? '' : `${JSON.stringify(value satisfies JsonObject | object, null, 2)}\n`}`
}
