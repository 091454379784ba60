/** RFC 5424 severities by name, least grave first: the log levels of MCP. */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']

/** True for the name of a level. */
export function isLogLevel(value: unknown): value is string {
  return typeof value === 'string' && LEVELS.includes(value)
}

/** True when a message of `level` is at least as grave as was asked for. A level that nobody knows passes. */
export function isGraveEnough(level: unknown, wanted: string): boolean {
  return !isLogLevel(level) || LEVELS.indexOf(level) >= LEVELS.indexOf(wanted)
}

/** The one of two levels that lets more through. */
export function moreVerbose(a: string | undefined, b: string): string {
  return a !== undefined && isGraveEnough(b, a) ? a : b
}
