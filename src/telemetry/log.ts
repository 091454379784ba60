import { type Logger, destination as openDestination, pino } from 'pino'
import { humanLines } from './human.ts'
import { redact } from './redact.ts'

/** One line an event, fields first. */
export type Log = {
  debug(fields: object, message?: string): void
  info(fields: object, message?: string): void
  warn(fields: object, message?: string): void
  error(fields: object, message?: string): void
  child(fields: object): Log
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** Where lines go: a file that is appended to, or anything that takes lines. */
export type LogDestination = { readonly file: string } | { write(line: string): void }

/**
 * Opens the log: JSON lines, to stderr unless told otherwise; on a terminal, short lines for people instead.
 * Fields that are named like secrets are blanked at any depth. Lines are written before the call returns, so a crash loses none.
 */
export function createLog(options: { level: LogLevel; destination?: LogDestination }): Log {
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (level) => ({ level }), log: redact },
      // `redact` has already turned errors into members.
      serializers: { err: (error: unknown) => error },
    },
    streamFor(options.destination),
  )
  return asLog(logger)
}

/** pino's formatters do not reach the fields of a child, so those are redacted here. */
function asLog(logger: Logger): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: (fields) => asLog(logger.child(redact(fields))),
  }
}

function streamFor(destination: LogDestination | undefined): { write(line: string): void } {
  if (destination && 'file' in destination) return openDestination({ dest: destination.file, mkdir: true, sync: true })
  if (destination) return destination
  const stderr = openDestination({ dest: 2, sync: true })
  return process.stderr.isTTY ? humanLines(stderr) : stderr
}
