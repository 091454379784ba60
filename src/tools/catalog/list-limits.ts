import { Problem } from '#kernel'
import { LISTS_TOO_MUCH } from '../problems.ts'

/**
 * What one server may list, all its lists together. A list is parsed as a whole, and every client gets it whole, so
 * these are far below what a single result may be. What is over them is not read at all.
 */
export const LIST_LIMITS = { pageBytes: 4_194_304, bytes: 16_777_216, items: 10_000, pages: 200 } as const

/** The lists go over a limit; `what` stands after "lists more than". */
export function listsTooMuch(server: string, what: string): Problem {
  return new Problem(LISTS_TOO_MUCH, `server "${server}" lists more than ${what}, so its lists are not taken over`)
}
