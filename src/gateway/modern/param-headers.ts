import type { IncomingMessage } from 'node:http'
import { isJsonObject, Problem, type Json, type JsonObject } from '#kernel'
import type { Definition } from '#tools'
import { headerOf } from '../context.ts'
import { HEADER_MISMATCH } from '../problems.ts'
import { decodeHeader } from './header-value.ts'

/** An argument that its tool wants repeated in a header (`"x-mcp-header"` in the input schema). */
type MirroredParam = { readonly path: readonly string[]; readonly type: string; readonly header: string }

const PREFIX = 'mcp-param-'
const MAX_DEPTH = 16

/** The `Mcp-Param-*` headers as sent, by lower-case name. */
export function paramHeadersOf(req: IncomingMessage): Record<string, string> | undefined {
  let found: Record<string, string> | undefined
  for (const name in req.headers) {
    if (!name.startsWith(PREFIX)) continue
    const value = headerOf(req, name)
    if (value !== undefined) found = { ...found, [name]: value }
  }
  return found
}

/** Refuses a call whose headers do not repeat what the tool, as listed to this caller, wants repeated. */
export function checkParamHeaders(tool: Definition, sent: CallHeaders): void {
  for (const param of mirroredParams(tool)) checkParam(param, sent)
}

export type CallHeaders = { readonly args: Json | undefined; readonly headers: Readonly<Record<string, string>> }

function checkParam(param: MirroredParam, sent: CallHeaders): void {
  const value = valueAt(sent.args, param.path)
  const header = sent.headers[PREFIX + param.header.toLowerCase()]
  const name = `Mcp-Param-${param.header}`
  if (value === undefined || value === null) {
    if (header === undefined) return
    throw mismatch(`The header ${name} is sent, but the argument "${param.path.join('.')}" is not. Leave both out.`)
  }
  if (header === undefined) {
    throw mismatch(`The header ${name} is missing. This tool wants "${param.path.join('.')}" repeated in it.`)
  }
  const text = decodeHeader(header)
  if (text === null) throw mismatch(`The header ${name} is not plain ASCII and not valid =?base64?…?= text.`)
  if (!isSame(text, value)) throw mismatch(`The header ${name} differs from the argument "${param.path.join('.')}".`)
}

function isSame(text: string, value: Json): boolean {
  if (typeof value === 'number') return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text) && Number(text) === value
  return typeof value === 'string' || typeof value === 'boolean' ? text === String(value) : false
}

function valueAt(args: Json | undefined, path: readonly string[]): Json | undefined {
  let value = args
  for (const key of path) value = isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
  return value
}

/** Definitions never change, so each is searched once. */
const known = new WeakMap<Definition, readonly MirroredParam[]>()

function mirroredParams(tool: Definition): readonly MirroredParam[] {
  const found = known.get(tool) ?? findMirrored(tool.inputSchema, [])
  known.set(tool, found)
  return found
}

/** Only arguments reachable by `properties` alone count; an invalid annotation is ignored here, as nobody can meet it. */
function findMirrored(schema: Json | undefined, path: readonly string[]): MirroredParam[] {
  if (!isJsonObject(schema) || !isJsonObject(schema.properties) || path.length >= MAX_DEPTH) return []
  return Object.entries(schema.properties).flatMap(([key, property]) => {
    if (!isJsonObject(property)) return []
    const inner = [...path, key]
    const mirrored = readAnnotation(property, inner)
    return [...(mirrored === null ? [] : [mirrored]), ...findMirrored(property, inner)]
  })
}

function readAnnotation(property: JsonObject, path: readonly string[]): MirroredParam | null {
  const { type, 'x-mcp-header': header } = property
  if (typeof header !== 'string' || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(header)) return null
  return type === 'string' || type === 'integer' || type === 'boolean' ? { path, type, header } : null
}

function mismatch(detail: string): Problem {
  return new Problem(HEADER_MISMATCH, detail)
}
