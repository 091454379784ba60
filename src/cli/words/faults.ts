import type { ZodError } from 'zod'

/** What is wrong with a file, a line each, with the key that it is about. */
export function faultsIn({ issues }: ZodError): string {
  return issues
    .map(({ path, message }) => (path.length === 0 ? `  ${message}` : `  ${path.map(String).join('.')}: ${message}`))
    .join('\n')
}
