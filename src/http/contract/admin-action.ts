import type { Contract, Operation } from './contract.ts'

/** What less than the whole house something is about. */
export type Subject = { readonly kind: 'gateway' | 'server' | 'grant'; readonly name: string }

/** What somebody wants to do at the admin API, as rules may speak of it. */
export type AdminAction = {
  /** The first word of its path: `grants`. */
  readonly module: string
  readonly operation: string
  /** Whatever is not a GET may change something. */
  readonly writes: boolean
  /** null: the house as a whole. `unread`: it stands in what was not read yet, so that it may be anything. */
  readonly about: Subject | null | 'unread'
}

/** An operation of the admin API, before anybody uses it. */
export type AdminOperation = Omit<AdminAction, 'about'> & { readonly aboutKind: Subject['kind'] | null }

/** What using the operation is, for rules. */
export function actionOf(operationId: string, operation: Operation, about: AdminAction['about']): AdminAction {
  return { module: moduleOf(operation), operation: operationId, writes: operation.method !== 'GET', about }
}

/** What the parsed request names, or the house. */
export function subjectIn({ about }: Operation, input: Readonly<Record<string, unknown>>): Subject | null {
  if (about === undefined) return null
  const part: Readonly<Record<string, unknown>> = Object(input[about.part])
  const name = part[about.member]
  return typeof name === 'string' ? { kind: about.kind, name } : null
}

/** What can be told of it before anything but the path was read. */
export function subjectInPath(operation: Operation, path: Readonly<Record<string, string>>): AdminAction['about'] {
  if (operation.about === undefined) return null
  if (operation.about.part !== 'params') return 'unread'
  return subjectIn(operation, { params: operation.params?.safeParse(path).data })
}

/** All operations that are for admins. */
export function adminOperations(contracts: Readonly<Record<string, Contract>>): AdminOperation[] {
  return Object.values(contracts).flatMap((contract) =>
    Object.entries(contract)
      .filter(([, { access }]) => access === 'admin')
      .map(([id, operation]) => {
        const { module, writes } = actionOf(id, operation, null)
        return { module, operation: id, writes, aboutKind: operation.about?.kind ?? null }
      }),
  )
}

/** The first word of its path. */
export function moduleOf({ path }: Operation): string {
  return path.replace(/^\/(?:api\/v1\/)?/, '').split('/')[0] ?? ''
}
