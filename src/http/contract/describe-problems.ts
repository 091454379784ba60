import type { JsonObject, ProblemKind } from '#kernel'
import type { Operation } from './contract.ts'
import { INVALID_REQUEST } from './problems.ts'

const content = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } } as const

/** The problems an operation may answer with, a response for each status, and `default` for the others. */
export function describeProblems(operation: Operation): JsonObject {
  const kinds = [...generalKinds(operation), ...(operation.errors ?? [])]
  const byStatus = Map.groupBy(kinds, ({ status }) => status)
  const known = [...byStatus]
    .toSorted(([a], [b]) => a - b)
    .map(([status, some]) => [`${status}`, { description: some.map(describeKind).join(' '), content }])
  return { ...Object.fromEntries(known), default: { description: 'Any other problem.', content } }
}

function generalKinds(operation: Operation): readonly ProblemKind[] {
  const takesInput = operation.params ?? operation.query ?? operation.body
  return takesInput ? [INVALID_REQUEST] : []
}

function describeKind({ code, title }: ProblemKind): string {
  return `${title} (\`${code}\`).`
}
