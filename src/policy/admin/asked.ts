import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { AdminAction, Subject } from '#http'
import type { Principal } from '#identity'
import { ARGUMENTS_REFERENCE, argumentsEntity, contextOf } from '../cedar/context.ts'
import type { Asked } from '../cedar/engine.ts'
import { selfOf, subjectEntity, type Uid } from '../cedar/subject.ts'
import type { Grant } from '../grants/schema.ts'
import { ALL_ADMIN, PREFIX } from './laws.ts'

/** Under which circumstances somebody uses the admin API. */
export type AdminCircumstances = { readonly face: string; readonly remoteAddress: string | null; readonly now: number }

/** What an operation is about, as Cedar has it: a gateway or a server, or nothing less than the house. */
export type Place = { readonly kind: 'gateway' | 'server'; readonly name: string } | null

const PLATFORM = { type: 'Platform', id: 'house' }
const NO_ARGUMENTS = argumentsEntity({})

/** The question as Cedar is asked it. */
export function askedOf(
  principal: Principal,
  action: Pick<AdminAction, 'module' | 'operation' | 'writes'> & { readonly place: Place },
  { face, remoteAddress, now }: AdminCircumstances,
): Asked {
  const { module, operation, writes } = action
  const at = contextOf({ face, client: '', remoteAddress, scopes: null }, now)
  const uid = { type: 'Action', id: PREFIX + module }
  const entity = operationEntity(action)
  return {
    principal: selfOf(principal),
    action: uid,
    resource: entity.uid,
    context: { ...at, args: ARGUMENTS_REFERENCE, operation, writes },
    entities: [
      subjectEntity(principal),
      { uid, attrs: {}, parents: [{ type: 'Action', id: ALL_ADMIN }] },
      entity,
      ...(NO_ARGUMENTS === null ? [] : [NO_ARGUMENTS]),
    ],
  }
}

type OperationEntity = EntityJson & { readonly uid: Uid }

function operationEntity({
  operation,
  writes,
  place,
}: Pick<AdminAction, 'operation' | 'writes'> & { readonly place: Place }): OperationEntity {
  const named = (kind: Subject['kind']): string => (place?.kind === kind ? place.name : '')
  const within = place === null ? [] : [{ type: place.kind === 'gateway' ? 'Gateway' : 'Server', id: place.name }]
  return {
    uid: { type: 'Operation', id: operation },
    attrs: {
      gateway: named('gateway'),
      server: named('server'),
      name: operation,
      tags: [],
      readOnly: !writes,
      destructive: writes,
    },
    parents: [PLATFORM, ...within],
  }
}

/** A grant is about its gateway. One that is for all of them, or that nobody knows, is about the house. */
export function placeOf(about: Subject | null, grants: readonly Grant[]): Place {
  if (about === null) return null
  if (about.kind !== 'grant') return { kind: about.kind, name: about.name }
  const gateway = grants.find(({ id }) => id === about.name)?.gateway ?? null
  return gateway === null ? null : { kind: 'gateway', name: gateway }
}
