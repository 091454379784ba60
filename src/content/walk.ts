import { isUtf8 } from 'node:buffer'
import { isJsonObject, type Json, type JsonObject } from '#kernel'
import type { CompiledRule } from './compile.ts'
import { fitToSchema, type Change } from './fit.ts'
import { AT_ROOT, isNamed, stepInto } from './json-path.ts'
import { blanked, standIn, truncated, withStandIns, type MakeToken } from './replace.ts'
import type { Message } from './screen.ts'
import { findSpots, mergeSpots, type Spot } from './spots.ts'

/** One look through a message: the rules, and what they have found so far. */
export type Walk = {
  readonly rules: readonly CompiledRule[]
  /** The first rule that blocks: what it finds ends the look. */
  readonly firstBlock: CompiledRule | undefined
  readonly kind: Message['kind']
  readonly makeToken: MakeToken
  /** How often each rule found something. */
  readonly found: Map<CompiledRule, number>
  /** Texts that were taken away whole, with the rule that did. */
  readonly echoes: Map<string, CompiledRule>
}

/** The look ends here: a rule blocks, what is left cannot be made to fit its schema, or it is nested too deeply. */
export class Stopped extends Error {
  readonly outcome: 'blocked' | 'withheld'
  readonly rule: CompiledRule | null
  constructor(outcome: 'blocked' | 'withheld', rule: CompiledRule | null) {
    super(outcome)
    this.name = 'Stopped'
    this.outcome = outcome
    this.rule = rule
  }
}

/** Where in a message a value is. */
type Place = {
  /** `data`: what a tool and its caller say. `envelope`: the protocol around it. */
  readonly region: 'envelope' | 'data'
  readonly depth: number
  /** The rules that look at texts here. */
  readonly rules: readonly CompiledRule[]
  /** How far each rule with a path has come, in the order of `Pathed`. */
  readonly states: readonly number[]
  readonly root: Root | null
  readonly pointer: readonly string[]
}

/** A value that `$` stands for. */
type Root = { readonly changes: Change[] }

const MAX_DEPTH = 200
const MAX_ECHOES = 100
const LEAST_ECHO = 6

/** The message after the rules; the same object where nothing changed. Throws `Stopped`. */
export function walkMessage(walk: Walk, message: Message): JsonObject {
  const everywhere = walk.rules.filter(({ path }) => path === null)
  const size = walk.rules.some(({ rule }) => rule.larger_than !== undefined) ? bytesOf(message.value) : 0
  const meant = everywhere.filter(({ rule }) => rule.larger_than === undefined || size > rule.larger_than)
  for (const rule of meant) if (isForAll(rule)) note(walk, rule, 1)
  const top: Place = { region: 'envelope', depth: 0, rules: meant, states: [], root: null, pointer: [] }
  const context: Context = {
    ...walk,
    paths: walk.rules.filter(({ path }) => path !== null),
    message,
    hasPattern: walk.rules.some(({ rule }) => rule.pattern !== undefined),
    everywhere: meant,
  }
  const value = visitMembers(context, message.value, top)
  return isJsonObject(value) ? value : {}
}

type Context = Walk & {
  readonly hasPattern: boolean
  readonly paths: readonly CompiledRule[]
  readonly message: Message
  readonly everywhere: readonly CompiledRule[]
}

/** A rule that names no place and looks for nothing is about every message in its scope. */
function isForAll({ finders, path, rule }: CompiledRule): boolean {
  return path === null && finders.length === 0 && rule.effect !== 'truncate'
}

function note(walk: Walk, rule: CompiledRule, count: number): void {
  walk.found.set(rule, (walk.found.get(rule) ?? 0) + count)
  if (rule === walk.firstBlock) throw new Stopped('blocked', rule)
}

function visit(context: Context, value: Json, place: Place): Json | undefined {
  if (place.depth > MAX_DEPTH) throw new Stopped('withheld', null)
  const named = namedHere(context, value, place)
  const before = place.root?.changes.length ?? 0
  const inner = visitInside(context, value, named.length === 0 ? place : within(place, named))
  const whole = named.find((rule) => rule.finders.length === 0 && changes(rule))
  for (const rule of named) if (rule.finders.length === 0 && rule.rule.effect !== 'truncate') note(context, rule, 1)
  if (!whole) return inner
  // What was changed inside of it goes with it.
  place.root?.changes.splice(before)
  return takeWhole(context, whole, { value, place })
}

/** The rules whose path names this very value. */
function namedHere({ paths }: Context, value: Json, { states }: Place): readonly CompiledRule[] {
  if (states.length === 0) return NONE
  return paths.filter((rule, at) => {
    const limit = rule.rule.larger_than
    const isHere = rule.path !== null && isNamed(rule.path, states[at] ?? 0)
    return isHere && (limit === undefined || bytesOf(value) > limit)
  })
}

const NONE: readonly CompiledRule[] = []

function within(place: Place, named: readonly CompiledRule[]): Place {
  const rules = [...new Set([...place.rules, ...named])].toSorted((a, b) => a.rank - b.rank)
  return { ...place, rules }
}

function visitInside(context: Context, value: Json, place: Place): Json | undefined {
  if (typeof value === 'string') return visitText(context, value, place)
  if (typeof value === 'number') return visitNumber(context, value, place)
  if (Array.isArray(value)) return visitItems(context, value, place)
  return isJsonObject(value) ? visitMembers(context, value, place) : value
}

function visitItems(context: Context, items: readonly Json[], place: Place): Json {
  let isChanged = false
  const visited = items.map((item, index) => {
    const next = visit(context, item, inside(context, place, String(index))) ?? null
    isChanged ||= next !== item
    return next
  })
  return isChanged ? visited : items
}

function visitMembers(context: Context, value: JsonObject, place: Place): JsonObject {
  const members: [string, Json | undefined][] = []
  let isChanged = false
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue
    const name = visitKey(context, key, place)
    const next = visitMember(context, { owner: value, key, name, member }, place)
    if (next !== undefined) members.push([name, next])
    isChanged ||= next !== member || name !== key
  }
  return isChanged ? Object.fromEntries(members) : value
}

type MemberOf = { readonly owner: JsonObject; readonly key: string; readonly name: string; readonly member: Json }

function visitMember(context: Context, found: MemberOf, place: Place): Json | undefined {
  const { owner, key, name, member } = found
  if (place.region === 'data') return visit(context, member, inside(context, place, name, key))
  if (isKept(context.kind, found, place)) return member
  if (isRoot(found)) return visitRoot(context, member, { schema: schemaFor(context, key), depth: place.depth + 1 })
  if (isBinary(owner, key, member)) return visitBinary(context, member, place)
  return visit(context, member, inside(context, place, name, key))
}

/** Written out, as copying with `...` is felt on the path of every call. */
function inside({ paths }: Context, place: Place, name: string, key = name): Place {
  const { states, region, rules, root } = place
  return {
    region,
    depth: place.depth + 1,
    rules,
    states:
      states.length === 0
        ? states
        : paths.map((rule, at) => (rule.path ? stepInto(rule.path, states[at] ?? 0, key) : 0)),
    root,
    pointer: root === null ? place.pointer : [...place.pointer, name],
  }
}

/** Parts of the protocol that programs, not people or models, read; and what was asked for by name. */
const KEPT: Readonly<Record<Message['kind'], ReadonlySet<string>>> = {
  params: new Set(['name', 'ref', 'taskId', 'task']),
  answers: new Set(),
  result: new Set([
    'resultType',
    'taskId',
    'status',
    'createdAt',
    'lastUpdatedAt',
    'ttlMs',
    'pollIntervalMs',
    'cacheScope',
  ]),
  error: new Set(['code']),
  notification: new Set(['level', 'taskId']),
  questions: new Set(),
}
const WORDS: ReadonlySet<Json> = new Set(
  'text image audio resource resource_link user assistant form url tool_use tool_result object array string number integer boolean accept decline cancel'.split(
    ' ',
  ),
)
const WORD_KEYS: ReadonlySet<string> = new Set(['type', 'role', 'mode', 'action', 'method'])

function isKept(kind: Message['kind'], { key, member }: MemberOf, { depth }: Place): boolean {
  if (depth === 0 && KEPT[kind].has(key)) return !isAddress(member)
  return WORD_KEYS.has(key) && (WORDS.has(member) || key === 'method')
}

/** What is to be completed may be any address that fits a template. */
function isAddress(member: Json): boolean {
  return isJsonObject(member) && typeof member['uri'] === 'string'
}

/** The members that `$` stands for. The `data` of an image is no such thing. */
function isRoot({ owner, key, member }: MemberOf): boolean {
  switch (key) {
    case 'arguments':
    case 'structuredContent':
      return true
    case 'data':
      return typeof owner['mimeType'] !== 'string'
    case 'content':
      return isJsonObject(member) && typeof member['type'] !== 'string'
    default:
      return false
  }
}

function schemaFor({ message }: Context, key: string): JsonObject | undefined {
  const isOwn =
    message.kind === 'params' ? key === 'arguments' : message.kind === 'result' && key === 'structuredContent'
  return isOwn ? message.schema : undefined
}

function visitRoot(
  context: Context,
  value: Json,
  given: { schema?: JsonObject | undefined; depth: number },
): Json | undefined {
  const root: Root = { changes: [] }
  const states = context.paths.map(() => AT_ROOT)
  const place: Place = { region: 'data', depth: given.depth, rules: context.everywhere, states, root, pointer: [] }
  const visited = visit(context, value, place)
  if (given.schema === undefined || root.changes.length === 0 || visited === undefined) return visited
  const fitted = fitToSchema({ value: visited, original: value, changes: root.changes, schema: given.schema })
  if (fitted === null) throw new Stopped('withheld', firstChanging(context))
  return fitted
}

function firstChanging({ rules, found }: Walk): CompiledRule | null {
  return rules.find((rule) => found.has(rule) && changes(rule)) ?? null
}

function changes({ rule: { effect } }: CompiledRule): boolean {
  return effect === 'redact' || effect === 'replace' || effect === 'tokenise'
}

// --- texts, numbers, names ------------------------------------------------------------------------------------------

function visitText(context: Context, text: string, place: Place): string {
  const parsed = place.region === 'envelope' ? visitJsonText(context, text, place) : text
  const spots = findSpots(parsed, place.rules)
  for (const { rule } of spots) note(context, rule, 1)
  const merged = mergeSpots(spots.filter(({ rule }) => changes(rule)))
  const replaced = merged.length === 0 ? parsed : withStandIns(parsed, merged, context.makeToken)
  const cut = cutText(context, { text: replaced, spots }, place)
  if (cut !== text && place.root) {
    place.root.changes.push({ pointer: place.pointer, original: text, options: textOptions(text, cut, merged) })
  }
  return cut
}

function textOptions(text: string, changed: string, spots: readonly Spot[]): (Json | undefined)[] {
  if (spots.length === 0) return [changed, undefined]
  return [changed, blanked(text, spots), blanked(text, [{ start: 0, end: text.length }]), '', undefined]
}

/** Paths also name what is in a text that is JSON: servers send structured content as text too. */
function visitJsonText(context: Context, text: string, place: Place): string {
  if (context.paths.length === 0 || !/^\s{0,100}[[{]/.test(text)) return text
  const value = parseJson(text)
  if (value === undefined) return text
  const visited = visitRoot(context, value, { depth: place.depth + 1 })
  if (visited === value) return text
  return JSON.stringify(visited, null, /^\s*[[{]\s*\n/.test(text) ? 2 : undefined) ?? ''
}

function parseJson(text: string): Json | undefined {
  try {
    // The parser makes nothing but JSON.
    return JSON.parse(text) as Json
  } catch {
    return undefined // a text that only looks like it
  }
}

function cutText(context: Context, found: { text: string; spots: readonly Spot[] }, place: Place): string {
  let { text } = found
  for (const rule of place.rules) {
    const { effect, max_chars: most } = rule.rule
    if (effect !== 'truncate' || most === undefined || text.length <= most) continue
    if (rule.finders.length > 0 && !found.spots.some((spot) => spot.rule === rule)) continue
    if (rule.finders.length === 0) note(context, rule, 1)
    text = truncated(text, most)
  }
  return text
}

/** A number in which something is found goes as a whole, and stays a number. */
function visitNumber(context: Context, value: number, place: Place): Json {
  const spots = findSpots(String(value), place.rules)
  for (const { rule } of spots) note(context, rule, 1)
  const [first] = spots.filter(({ rule }) => changes(rule)).toSorted((a, b) => a.rule.rank - b.rule.rank)
  if (first === undefined) return value
  const options = maskOf(value, first.rule, context.makeToken)
  place.root?.changes.push({ pointer: place.pointer, original: value, options: [...options, undefined] })
  return options[0] ?? 0
}

/** Such names are no find of any detector: the shortest that letters can make, or one that begins in lower case. */
const WORD = /^(?:[A-Za-z_-]{1,14}|[a-z][A-Za-z]{1,63})$/
const WORD_OF_PROTOCOL = /^[a-z][A-Za-z]{0,23}$/

/** Names of members are texts as well; a plain word can only be meant by a pattern. */
function visitKey(context: Context, key: string, place: Place): string {
  if (place.region === 'envelope' && (place.depth === 0 || WORD_OF_PROTOCOL.test(key))) return key
  const isWord = WORD.test(key)
  if (isWord && !context.hasPattern) return key
  const rules = isWord ? place.rules.filter(({ rule }) => rule.pattern !== undefined) : place.rules
  const spots = findSpots(key, rules)
  for (const { rule } of spots) note(context, rule, 1)
  const merged = mergeSpots(spots.filter(({ rule }) => changes(rule)))
  return merged.length === 0 ? key : withStandIns(key, merged, context.makeToken)
}

// --- whole values ---------------------------------------------------------------------------------------------------

function takeWhole(
  context: Context,
  rule: CompiledRule,
  { value, place }: { value: Json; place: Place },
): Json | undefined {
  rememberEcho(context, rule, value)
  const masks = maskOf(value, rule, context.makeToken)
  const mayGo = rule.rule.effect === 'redact' && rule.rule.with === undefined && isMember(place)
  const options = mayGo ? [undefined, ...masks] : [...masks, undefined]
  place.root?.changes.push({ pointer: place.pointer, original: value, options })
  return options[0]
}

/** Whether the value can be left out: members of objects can, items of arrays would move the others. */
function isMember({ pointer }: Place): boolean {
  return pointer.length > 0 && !/^\d+$/.test(pointer.at(-1) ?? '')
}

function rememberEcho({ echoes }: Walk, rule: CompiledRule, value: Json): void {
  const isTelling = (typeof value === 'string' || typeof value === 'number') && String(value).length >= LEAST_ECHO
  if (isTelling && echoes.size < MAX_ECHOES) echoes.set(String(value), rule)
}

/** Values of the same type that tell nothing. A token keeps what it stands for. */
function maskOf(value: Json, rule: CompiledRule, makeToken: MakeToken): Json[] {
  const word = standIn(rule, value, makeToken)
  if (typeof value === 'string') return [word, blanked(value, [{ start: 0, end: value.length }]), '']
  if (typeof value === 'number') return rule.rule.effect === 'redact' ? [0, 1] : [word, 0, 1]
  if (typeof value === 'boolean') return [false, true]
  if (rule.rule.effect !== 'redact') return [word]
  return [Array.isArray(value) ? [] : value === null ? null : {}]
}

// --- bytes ----------------------------------------------------------------------------------------------------------

const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
/** A short one is looked at as a text, too: it may be one. */
const SHORT = 1_024

function isBinary(owner: JsonObject, key: string, member: Json): member is string {
  if (typeof member !== 'string' || !BASE64.test(member)) return false
  return key === 'blob' || (key === 'data' && typeof owner['mimeType'] === 'string')
}

/** Base64 that holds text is read, and written again; pictures and sounds pass. */
function visitBinary(context: Context, base64: string, place: Place): string {
  const bytes = Buffer.from(base64, 'base64')
  if (!isUtf8(bytes)) return base64.length > SHORT ? base64 : visitText(context, base64, place)
  const text = bytes.toString('utf8')
  const visited = visitText(context, text, place)
  return visited === text ? base64 : Buffer.from(visited).toString('base64')
}

function bytesOf(value: Json): number {
  return Buffer.byteLength(typeof value === 'string' ? value : JSON.stringify(value))
}
