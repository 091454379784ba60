import { isJsonObject, type Json, type JsonObject } from '#kernel'
import { Failure } from '../failure.ts'
import type { Terminal } from '../terminal.ts'
import { readAnswer } from '../words/answer.ts'
import { plain, safe } from '../words/table.ts'

type Requests = Readonly<
  Record<string, { readonly method: string; readonly params?: Readonly<Record<string, unknown>> | undefined }>
>

/** Asks the person at the terminal what a server asks, and gives the answers under the server's names. */
export async function askPerson(terminal: Terminal, requests: Requests): Promise<Record<string, unknown>> {
  const entries = Object.entries(requests)
  if (entries.length === 0) return {}
  if (!terminal.isInteractive) {
    const asked = entries.map(([, { params }]) => plain(textOf(params?.['message']))).join('; ')
    throw new Failure(`The tool asks for input: ${asked}`, 'Run this in a terminal, where it can be answered.')
  }
  const answers: Record<string, unknown> = {}
  for (const [id, { method, params }] of entries) {
    if (method !== 'elicitation/create') throw new Failure(`The tool asks for ${method}, which a terminal cannot give.`)
    answers[id] = await answerElicitation(terminal, params ?? {})
  }
  return answers
}

async function answerElicitation(terminal: Terminal, params: Readonly<Record<string, unknown>>): Promise<JsonObject> {
  terminal.err(`\n${safe(textOf(params['message']))}\n`)
  if (params['mode'] === 'url') return answerUrl(terminal, params)
  const schema = params['requestedSchema']
  const properties = isJsonObject(schema) && isJsonObject(schema['properties']) ? schema['properties'] : {}
  const required = isJsonObject(schema) && Array.isArray(schema['required']) ? schema['required'] : []
  if (Object.keys(properties).length === 0) return confirm(terminal)
  const content: Record<string, Json> = {}
  for (const [name, property] of Object.entries(properties)) {
    const field = { name, property: isJsonObject(property) ? property : {}, isRequired: required.includes(name) }
    const value = await askField(terminal, field)
    if (value === 'decline') return { action: 'decline' }
    if (value !== 'skip') content[name] = value.value
  }
  return { action: 'accept', content }
}

async function answerUrl(terminal: Terminal, params: Readonly<Record<string, unknown>>): Promise<JsonObject> {
  terminal.err(`Open this address yourself, if you trust it: ${plain(textOf(params['url']))}\n`)
  return confirm(terminal)
}

async function confirm(terminal: Terminal): Promise<JsonObject> {
  const said = await terminal.ask('Go on? [y/N] ')
  return /^y(es)?$/i.test(said.trim()) ? { action: 'accept', content: {} } : { action: 'decline' }
}

type Field = { readonly name: string; readonly property: JsonObject; readonly isRequired: boolean }
const MAX_TRIES = 5

async function askField(terminal: Terminal, field: Field): Promise<{ value: Json } | 'skip' | 'decline'> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const said = (await terminal.ask(questionFor(field))).trim()
    if (said === '.') return 'decline'
    if (said === '' && field.property['default'] !== undefined) return { value: field.property['default'] }
    if (said === '' && !field.isRequired) return 'skip'
    const read = readAnswer(field.property, said)
    if (read.ok) return { value: read.value }
    terminal.err(`${read.expected}, or "." to refuse\n`)
  }
  return 'decline'
}

function questionFor({ name, property, isRequired }: Field): string {
  const choices = Array.isArray(property['enum']) ? ` (${property['enum'].map(String).join(', ')})` : ''
  const preset = property['default']
  const hint = preset === undefined ? (isRequired ? '' : ' [leave out]') : ` [${JSON.stringify(preset)}]`
  return `${plain(textOf(property['title']) || name)}${plain(choices)}${hint}: `
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')
