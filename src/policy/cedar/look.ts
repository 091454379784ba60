import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { isJsonObject, type Json, type JsonObject } from '#kernel'
import { SUBJECT_TYPES, uidText } from './subject.ts'

/** What a policy looks at: whatever it does not look at cannot change what it says. */
export type Look = {
  /** Users, groups, roles … that it names, as texts of their uids. */
  readonly subjects: ReadonlySet<string>
  readonly gateways: ReadonlySet<string>
  readonly servers: ReadonlySet<string>
  /** Operations of the admin API that it names. */
  readonly operations: ReadonlySet<string>
  /** It asks more of the principal than whether it is, or belongs to, one that is named. */
  readonly readsPrincipal: boolean
  /** Members of the context that it reads; `*` where that cannot be told. */
  readonly context: ReadonlySet<string>
  /** It tells `Action::"list"` from the others. */
  readonly namesList: boolean
  /** It names an action of the admin API. */
  readonly namesAdmin: boolean
}

type Found = {
  subjects: Set<string>
  gateways: Set<string>
  servers: Set<string>
  operations: Set<string>
  context: Set<string>
  readsPrincipal: boolean
  namesList: boolean
  namesAdmin: boolean
}

/** Reads a policy's syntax tree. What it does not understand counts as looking at everything. */
export function lookAt(policy: PolicyJson): Look {
  const found: Found = {
    subjects: new Set(),
    gateways: new Set(),
    servers: new Set(),
    operations: new Set(),
    context: new Set(),
    readsPrincipal: false,
    namesList: false,
    namesAdmin: false,
  }
  // A tree of Cedar's is JSON.
  for (const part of [policy.principal, policy.action, policy.resource, policy.conditions]) visit(toJson(part), found)
  return found
}

function toJson(value: unknown): Json {
  const parsed: Json = JSON.parse(JSON.stringify(value))
  return parsed
}

function visit(node: Json | undefined, found: Found): void {
  if (Array.isArray(node)) for (const item of node) visit(item, found)
  if (!isJsonObject(node)) return
  if (isUid(node)) noteUid(node, found)
  for (const [name, value] of Object.entries(node)) visitMember(name, value, found)
}

function visitMember(name: string, value: Json | undefined, found: Found): void {
  if (name === 'Var') return noteVariable(value, found)
  if (!isJsonObject(value)) return visit(value, found)
  if (isOfPrincipal(value) && RELATIONS.has(name) && isLiteral(value['right'])) return visit(value['right'], found)
  if (name === 'is' && isOfPrincipal(value)) return visit(value['in'], found)
  if ((name === '.' || name === 'has') && isVariable(value['left'], 'context')) return noteMember(value['attr'], found)
  visit(value, found)
}

/** `context has a.b` names a path. */
function noteMember(attr: Json | undefined, found: Found): void {
  const first: Json | undefined = Array.isArray(attr) ? attr[0] : attr
  found.context.add(typeof first === 'string' ? first : '*')
}

const RELATIONS: ReadonlySet<string> = new Set(['in', '==', '!='])

const isVariable = (node: Json | undefined, name: string): boolean => isJsonObject(node) && node['Var'] === name
const isOfPrincipal = (node: JsonObject): boolean => isVariable(node['left'], 'principal')

function isLiteral(node: Json | undefined): boolean {
  if (!isJsonObject(node)) return false
  const set = node['Set']
  return node['Value'] !== undefined || (Array.isArray(set) && set.every((item: Json) => isLiteral(item)))
}

function noteVariable(name: Json | undefined, found: Found): void {
  if (name === 'principal') found.readsPrincipal = true
  if (name === 'context') found.context.add('*')
}

function isUid(node: JsonObject): node is { readonly type: string; readonly id: string } {
  return typeof node['type'] === 'string' && typeof node['id'] === 'string'
}

function noteUid(uid: { readonly type: string; readonly id: string }, found: Found): void {
  if (SUBJECT_TYPES.has(uid.type)) found.subjects.add(uidText(uid))
  if (uid.type === 'Gateway') found.gateways.add(uid.id)
  if (uid.type === 'Server') found.servers.add(uid.id)
  if (uid.type === 'Operation') found.operations.add(uid.id)
  if (uid.type !== 'Action') return
  if (uid.id === 'list') found.namesList = true
  if (uid.id === 'admin' || uid.id.startsWith('admin:')) found.namesAdmin = true
}
