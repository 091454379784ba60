import { type Json, type JsonObject, isJsonObject } from '#kernel'
import { Payload } from '../../payload.ts'
import type { Reply } from '../../source.ts'
import type { WorkerTool } from './definition.ts'
import type { InvokeResponse, ToolError } from './schema.ts'

/** Turns a worker's answer into an MCP result. What only the tool's developer should see is not in it. */
export function toReply(tool: WorkerTool, { success, output }: InvokeResponse): Reply {
  const asked = output?.requires_authorization
  if (asked) return authorizationNeeded(tool, asked.authorization_url ?? undefined)
  if (output?.error) return toolFailed(output.error)
  if (!success) return toolError('The tool failed and gave no reason.', { kind: 'UNKNOWN', canRetry: false })
  return complete(toResult(tool, output?.value ?? null))
}

/** The tool needs the user's own credential at another service, which nobody has given. */
export function authorizationNeeded(tool: WorkerTool, url?: string): Reply {
  const needed = tool.definition.requirements?.authorization
  const provider = needed?.provider_id ?? needed?.id ?? 'the service behind it'
  const way = isWebUrl(url)
    ? `Ask the user to open this address, sign in, and then call the tool again: ${url}`
    : 'Nobody is signed in there for this user; ask an administrator to connect it. Calling again changes nothing until then.'
  return toolError(`${tool.name} needs the user to sign in at ${provider}. ${way}`, {
    kind: 'TOOL_REQUIREMENTS_NOT_MET',
    canRetry: false,
    ...(isWebUrl(url) ? { authorizationUrl: url } : {}),
  })
}

/** The tool asks for secrets that the server's configuration does not have. */
export function secretsMissing(tool: WorkerTool, keys: readonly string[]): Reply {
  const names = keys.map((key) => `"${key}"`).join(', ')
  return toolError(
    `${tool.name} was not called: it needs the secret${keys.length > 1 ? 's' : ''} ${names}, which this server's configuration does not have. Ask an administrator to add ${keys.length > 1 ? 'them' : 'it'} to the server's secrets.`,
    { kind: 'TOOL_REQUIREMENTS_NOT_MET', canRetry: false },
  )
}

type ErrorFacts = { kind: string; canRetry: boolean; retryAfterMs?: number; authorizationUrl?: string }

function toolFailed(error: ToolError): Reply {
  const retryAfterMs = error.retry_after_ms ?? undefined
  const text = [error.message, adviceFor(error), error.additional_prompt_content ?? '']
  return toolError(text.filter((part) => part !== '').join('\n'), {
    kind: error.kind,
    canRetry: error.can_retry,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}

function toolError(text: string, facts: ErrorFacts): Reply {
  const result = { content: [{ type: 'text', text }], isError: true, _meta: { 'io.gatehouse/error': facts } }
  return { kind: 'complete', result: Payload.ofValue(result), isError: true }
}

function complete(result: JsonObject): Reply {
  return { kind: 'complete', result: Payload.ofValue(result), isError: false }
}

function toResult(tool: WorkerTool, value: Json): JsonObject {
  const content =
    value === null ? [] : [{ type: 'text', text: typeof value === 'string' ? value : JSON.stringify(value) }]
  const structuredContent = toStructured(tool, value)
  return structuredContent === undefined ? { content } : { content, structuredContent }
}

/** With an output schema there must be structured content, so nothing becomes an object without members. */
function toStructured(tool: WorkerTool, value: Json): JsonObject | undefined {
  const hasSchema = Boolean(tool.definition.output?.value_schema)
  if (value === null && !(tool.wraps && tool.isNullable)) return hasSchema ? {} : undefined
  return isJsonObject(value) && !tool.wraps ? value : { result: value }
}

/** What a model or person can do about a failure; workers' own messages seldom say it. */
function adviceFor(error: ToolError): string {
  const advice = ADVICE[error.kind] ?? ADVICE[familyOf(error.kind)] ?? ''
  if (error.retry_after_ms)
    return `${advice} Wait ${Math.ceil(error.retry_after_ms / 1000)} s before calling again.`.trim()
  return error.can_retry && !/again/.test(advice) ? `${advice} Calling again may help.`.trim() : advice
}

function familyOf(kind: string): string {
  return /^(TOOLKIT|TOOL_DEFINITION|TOOL_RUNTIME|UPSTREAM_RUNTIME|NETWORK_TRANSPORT)/.exec(kind)?.[0] ?? 'UNKNOWN'
}

const ADVICE: Readonly<Record<string, string>> = {
  TOOLKIT: 'The worker could not load this tool; an administrator has to look at it.',
  TOOL_DEFINITION: 'The tool is defined wrongly; its developer has to correct it.',
  TOOL_RUNTIME: 'The tool failed by itself; other arguments or its developer may help.',
  TOOL_RUNTIME_BAD_INPUT_VALUE: 'Correct the arguments and call again.',
  TOOL_RUNTIME_BAD_OUTPUT_VALUE: 'The tool ran but gave a value it should not; its developer has to correct it.',
  TOOL_RUNTIME_RETRY: 'Change the arguments as described and call again.',
  TOOL_RUNTIME_CONTEXT_REQUIRED: 'Get the missing information from the user and call again.',
  TOOL_REQUIREMENTS_NOT_MET: 'Something the tool needs is not set up; an administrator has to look at it.',
  CONTEXT_DENIED: 'A rule of the organization refuses this call.',
  UPSTREAM_RUNTIME: 'The service behind the tool refused or failed.',
  UPSTREAM_RUNTIME_BAD_REQUEST: 'The service behind the tool did not accept the request; correct the arguments.',
  UPSTREAM_RUNTIME_VALIDATION_ERROR: 'The service behind the tool did not accept the values; correct the arguments.',
  UPSTREAM_RUNTIME_AUTH_ERROR:
    'The service behind the tool refused the credential; the user has to sign in there again.',
  UPSTREAM_RUNTIME_NOT_FOUND: 'What was asked for does not exist at the service behind the tool; check names and ids.',
  UPSTREAM_RUNTIME_RATE_LIMIT: 'The service behind the tool allows no more calls right now.',
  UPSTREAM_RUNTIME_SERVER_ERROR: 'The service behind the tool has a failure of its own; later it may work.',
  NETWORK_TRANSPORT: 'The service behind the tool could not be reached; later it may work.',
  NETWORK_TRANSPORT_RUNTIME_TIMEOUT:
    'The service behind the tool did not answer in time; what was asked may have been done.',
}

function isWebUrl(url: string | undefined): url is string {
  return url !== undefined && /^https?:$/.test(URL.parse(url)?.protocol ?? '')
}
