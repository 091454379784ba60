/** RFC 5424 severities by name, least first. */
const LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency']

export function isLogLevel(value: unknown): value is string {
  return typeof value === 'string' && LEVELS.includes(value)
}

/** True when a message of this level is at least as grave as the client asked for. Unknown levels pass. */
export function isWanted(level: unknown, wanted: string): boolean {
  return typeof level !== 'string' || !LEVELS.includes(level) || LEVELS.indexOf(level) >= LEVELS.indexOf(wanted)
}
