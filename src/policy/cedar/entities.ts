import type { EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { Thing } from '../thing.ts'
import type { Uid } from './subject.ts'

const TYPES = { tool: 'Tool', prompt: 'Prompt', resource: 'Resource' } as const
const ACTIONS = { tool: 'call', prompt: 'prompt', resource: 'read' } as const

/** What is done with a thing of this kind. */
export type Action = 'call' | 'read' | 'prompt' | 'complete' | 'list'

/** What one does with such a thing: its use is what a list promises. */
export function useOf(thing: Thing): Action {
  return ACTIONS[thing.kind]
}

export function actionUid(action: Action): Uid {
  return { type: 'Action', id: action }
}

/** Every action on a thing belongs to `Action::"use"`, which grants give. */
export function actionEntity(action: Action): EntityJson {
  return { uid: actionUid(action), attrs: {}, parents: [{ type: 'Action', id: 'use' }] }
}

/** `Tool::"github/create_issue"`: the same at every gateway, so that one rule can mean it everywhere. */
export function thingUid({ kind, server, name }: Pick<Thing, 'kind' | 'server' | 'name'>): Uid {
  return { type: TYPES[kind], id: `${server}/${name}` }
}

export function thingEntity(thing: Thing): EntityJson {
  const { gateway, server, name, tags, readOnly, destructive } = thing
  const namespace = namespaceOf(thing)
  return {
    uid: thingUid(thing),
    attrs: { gateway, server, name, tags: [...tags], readOnly, destructive },
    parents: [
      { type: 'Gateway', id: gateway },
      { type: 'Server', id: server },
      ...tags.map((id) => ({ type: 'Tag', id })),
      ...(namespace === null ? [] : [{ type: 'Namespace', id: namespace }]),
    ],
  }
}

/** Servers that group their tools write `Group.Tool` or `group/tool`: the namespace is `server/Group`. */
function namespaceOf({ kind, server, name }: Thing): string | null {
  const end = kind === 'tool' ? name.search(/[./]/) : -1
  return end > 0 ? `${server}/${name.slice(0, end)}` : null
}
