import type { ArcadeTool } from './tools.ts'

type Details = {
  readonly developerMessage?: string
  readonly additionalPromptContent?: string
  readonly retryAfterMs?: number
  readonly canRetry?: boolean
  readonly statusCode?: number
  readonly stacktrace?: string
}

/** A tool's own failure. `className` is the Python class whose name the worker puts into the message. */
export class ArcadeError extends Error {
  readonly kind: string
  readonly className: string
  readonly details: Details

  constructor(kind: string, { className, message, ...details }: { className: string; message: string } & Details) {
    super(message)
    this.kind = kind
    this.className = className
    this.details = details
  }
}

/** The `error` of an output, with the nulls that the Python worker sends. */
export function failure(tool: ArcadeTool, thrown: unknown): Record<string, unknown> {
  const error = thrown instanceof ArcadeError ? thrown : unhandled(thrown)
  const prefix = `[${error.kind}] ${error.className} during execution of tool '${tool.pythonName}': `
  const { details } = error
  return {
    message: prefix + error.message,
    kind: error.kind,
    developer_message: details.developerMessage === undefined ? null : prefix + details.developerMessage,
    can_retry: details.canRetry ?? false,
    additional_prompt_content: details.additionalPromptContent ?? null,
    retry_after_ms: details.retryAfterMs ?? null,
    stacktrace: details.stacktrace ?? null,
    status_code: details.statusCode ?? null,
    extra: null,
  }
}

/** What a tool raises that is no error of Arcade's: the details are for developers only, and must stay there. */
export class ValueError extends Error {}

function unhandled(thrown: unknown): ArcadeError {
  const detail = `ValueError: ${thrown instanceof Error ? thrown.message : String(thrown)}`
  return new ArcadeError('TOOL_RUNTIME_FATAL', {
    className: 'FatalToolError',
    message: 'An unhandled ValueError was raised by the tool.',
    developerMessage: detail,
    statusCode: 500,
    stacktrace: `Traceback (most recent call last):\n\n  File "tool.py", line 1, in tool\n\n${detail}\n`,
  })
}
