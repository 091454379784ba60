import { errorCode, isProblem } from '#kernel'

/** SQLite's extended result codes for a taken primary key, unique column or row id, and the SQLSTATE for the same. */
const DUPLICATE_CODES: ReadonlySet<string> = new Set(['1555', '2067', '2579', '23505'])

/** True when a write was refused because the key or unique value is taken, on either engine. */
export function isDuplicate(error: unknown): boolean {
  return errorCodes(error).some((code) => DUPLICATE_CODES.has(code))
}

/** Wraps what an engine said with what was being done. Parameters are never shown: they may hold secrets. */
export function whileDoing(what: string, cause: unknown): Error {
  if (isProblem(cause)) return cause
  return new Error(`could not ${what}: ${reasonOf(cause)}`, { cause })
}

/** The beginning of a query's text, enough to find it. Values travel as parameters, so none is in it. */
export function nameOfQuery(sql: string): string {
  const line = sql.replaceAll(/\s+/g, ' ').trim()
  return line.length > 100 ? `${line.slice(0, 100)}…` : line
}

/** What went wrong in words; never empty (`AggregateError` of a refused connection has no message of its own). */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}

function errorCodes(error: unknown): string[] {
  if (!(error instanceof Error)) return []
  const own = errorCode(error)
  return [...(own === undefined ? [] : [own]), ...errorCodes(error.cause)]
}
