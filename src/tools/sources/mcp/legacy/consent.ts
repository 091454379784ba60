import { isJsonObject, type JsonObject } from '#kernel'
import { Payload } from '../../../payload.ts'
import type { AskRequest, Reply, RpcError, SourceCall } from '../../../source.ts'
import { without } from '../json.ts'
import { mayOpenUrls } from './capabilities.ts'

/** A server of the session era says by this error that the user must visit pages first (2025-11-25 client/elicitation). */
const URL_ELICITATION_REQUIRED = -32042

/** The pages of such an error as questions; undefined for any other error. */
export function pagesToVisit(error: RpcError): Readonly<Record<string, AskRequest>> | undefined {
  if (error.code !== URL_ELICITATION_REQUIRED || !isJsonObject(error.data)) return undefined
  const { elicitations } = error.data
  if (!Array.isArray(elicitations) || elicitations.length === 0 || !elicitations.every(isJsonObject)) return undefined
  const asks = elicitations.map((page: JsonObject, index): [string, AskRequest] => [
    `page-${index + 1}`,
    { method: 'elicitation/create', params: { ...without(page, 'elicitationId'), mode: 'url' } },
  ])
  return Object.fromEntries(asks)
}

/** What a caller of the stateless era gets when it never said that it can open pages (2026-07-28 basic/index). */
export function cannotOpenPages(call: SourceCall, error: RpcError): Reply | undefined {
  if (mayOpenUrls(call.session.clientCapabilities)) return undefined
  const data = { requiredCapabilities: { elicitation: { url: {} } } }
  return { kind: 'error', error: { code: -32021, message: error.message, data } }
}

/** A call that failed because its server was not allowed to ask, for a caller of the stateless era. */
export function cannotBeAsked(requiredCapabilities: JsonObject): Reply {
  const [capability = ''] = Object.keys(requiredCapabilities)
  const message = `The server needs the client capability "${capability}" for this call.`
  return { kind: 'error', error: { code: -32021, message, data: { requiredCapabilities } } }
}

/** How the caller's answers leave the call: every page was accepted, one was not, or some are missing. */
export function judgeVisits(asked: Readonly<Record<string, AskRequest>>, answers: JsonObject) {
  const actions = Object.keys(asked).map((key) => {
    const answer = answers[key]
    return isJsonObject(answer) ? answer['action'] : undefined
  })
  if (actions.includes(undefined)) return 'missing'
  return actions.every((action) => action === 'accept') ? 'accepted' : 'declined'
}

/** What a call ends with when its caller does not visit the page that the server asks for. */
export function declined(call: SourceCall): Reply {
  const text = 'The server needs you to visit a page first, and that was declined.'
  if (call.method !== 'tools/call') return { kind: 'error', error: { code: -32000, message: text } }
  return {
    kind: 'complete',
    isError: true,
    result: Payload.ofValue({ content: [{ type: 'text', text }], isError: true }),
  }
}
