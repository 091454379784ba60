import type { Subject } from '#content'
import { isJsonObject, type JsonObject } from '#kernel'
import type { CallerPort, CallerSession } from '../source.ts'
import type { CallRequest } from '../tools.ts'
import {
  isRefused,
  screenAnswers,
  screenNotice,
  screenQuestions,
  subjectOf,
  type ContentDeps,
  type Place,
} from './content.ts'

/** The caller as a server may reach them in mid-call: whatever it says or asks passes the content rules on its way. */
export type ScreenedCaller = {
  readonly port: CallerPort
  readonly session: CallerSession
  readonly ask: CallRequest['ask'] | undefined
  /** Resolves when everything that was said has gone on. */
  settled(): Promise<void>
}

export function screenCaller(deps: ContentDeps, at: Place): ScreenedCaller {
  const { port, session, ask } = at.attempt.request
  const waiting = new Set<Promise<void>>()
  const pass = (params: JsonObject, say: (params: JsonObject) => void): void => {
    if (waiting.size === 0 && !deps.content.concerns('output', subjectOf(at))) return say(params)
    // In their order: what waits for its turn here was said before.
    const turn = Promise.all(waiting).then(() => deliver(deps, at, { params, say }))
    const settled = turn.finally(() => waiting.delete(settled))
    waiting.add(settled)
  }
  return {
    port: {
      progress: (params) => pass(params, (passed) => port.progress(passed)),
      message: (params) => pass(params, (passed) => port.message(passed)),
      notify: (method, params) => pass(params, (passed) => port.notify(method, passed)),
    },
    session: screenSession(deps.content, { ...subjectOf(at), thing: null }, session),
    ask: ask && screenAsk(deps, at, ask),
    settled: async () => void (await Promise.all(waiting)),
  }
}

/** What cannot be checked does not go on; a lost notification is no reason to lose the call. */
async function deliver(
  deps: ContentDeps,
  at: Place,
  said: { params: JsonObject; say: (params: JsonObject) => void },
): Promise<void> {
  const passed = await screenNotice(deps, at, said.params).catch(() => null)
  if (passed !== null) said.say(passed)
}

function screenAsk(
  deps: ContentDeps,
  at: Place,
  ask: NonNullable<CallRequest['ask']>,
): NonNullable<CallRequest['ask']> {
  return async (requests, signal) => {
    const isConcerned = deps.content.concerns('output', subjectOf(at))
    const answers = await ask(isConcerned ? await screenQuestions(deps, at, requests) : requests, signal)
    // Answers are kept by the keys of their questions.
    return (await screenAnswers(deps, at, answers)) as Readonly<Record<string, JsonObject>>
  }
}

/** What a server says outside of any call: `thing` is null, so every rule for anything of that server may be meant. */
export function screenSession(
  content: ContentDeps['content'],
  subject: Subject,
  session: CallerSession,
): CallerSession {
  const { outside, key, era, userId, clientInfo, clientCapabilities } = session
  if (outside === undefined) return session
  return {
    key,
    era,
    userId,
    clientInfo,
    clientCapabilities,
    outside: {
      notify: (method, params) => {
        if (!content.concerns('output', subject)) return outside.notify(method, params)
        void passed(content, subject, params).then((kept) => kept && outside.notify(method, kept))
      },
      ask: async (method, params, signal) => {
        const asked = await passed(content, subject, params)
        if (asked === null) throw new Error('a content rule keeps this question back')
        const answer = await outside.ask(method, asked, signal)
        const screened = await content.screen('input', subject, { kind: 'answers', value: { answer } })
        if (isRefused(screened)) throw new Error('a content rule keeps the answer back')
        return isJsonObject(screened.value['answer']) ? screened.value['answer'] : {}
      },
    },
  }
}

/** What cannot be checked does not pass. */
async function passed(
  content: ContentDeps['content'],
  subject: Subject,
  params: JsonObject,
): Promise<JsonObject | null> {
  try {
    const screened = await content.screen('output', subject, { kind: 'notification', value: params })
    return isRefused(screened) ? null : screened.value
  } catch {
    return null
  }
}
