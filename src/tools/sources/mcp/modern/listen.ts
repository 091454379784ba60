import { setTimeout as delay } from 'node:timers/promises'
import type { JsonObject } from '#kernel'
import type { CallerSession, Identify } from '../../../source.ts'
import { objectAt } from '../json.ts'
import type { ModernCarrier } from './carrier.ts'

export type ListenSink = {
  /** The server listens to us; `honoured` is what it agreed to. Told again after each reconnection. */
  acknowledged(honoured: JsonObject, stream: { isReconnection: boolean }): void
  notification(method: string, params: JsonObject): void
  /** Told once for each loss that the next try could not mend. */
  lost(reason: string): void
}

/** For whom it listens; absent for what we hear on our own account. */
type ListensFor = { readonly session?: CallerSession; readonly identity?: Identify | undefined }

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 60_000
const METHOD_NOT_FOUND = -32601

/**
 * Keeps one `subscriptions/listen` stream open until `signal` aborts, with a growing pause between tries.
 * Resolves when it was aborted or the server says that it has no such thing.
 */
export async function listen(
  carrier: ModernCarrier,
  params: JsonObject,
  { sink, signal, session, identity }: { sink: ListenSink; signal: AbortSignal } & ListensFor,
): Promise<void> {
  let pauseMs = FIRST_PAUSE_MS
  let isReconnection = false
  let isLost = false
  while (!signal.aborted) {
    const end = await listenOnce(carrier, params, {
      signal,
      identity,
      ...(session === undefined ? {} : { session }),
      acknowledged: (honoured) => {
        sink.acknowledged(honoured, { isReconnection })
        isReconnection = true
        isLost = false
        pauseMs = FIRST_PAUSE_MS
      },
      notification: (method, told) => sink.notification(method, told),
    })
    if (signal.aborted || end === 'unsupported') return
    if (!end.wasOpen && isReconnection && !isLost) {
      isLost = true
      sink.lost(end.reason)
    }
    await delay(pauseMs * (0.75 + Math.random() / 2), undefined, { signal, ref: false }).catch(() => undefined)
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
  }
}

type ListenEnd = 'unsupported' | { readonly wasOpen: boolean; readonly reason: string }

async function listenOnce(
  carrier: ModernCarrier,
  params: JsonObject,
  stream: ListensFor & {
    signal: AbortSignal
    acknowledged(honoured: JsonObject): void
    notification: ListenSink['notification']
  },
): Promise<ListenEnd> {
  let wasOpen = false
  try {
    const answer = await carrier.request({
      method: 'subscriptions/listen',
      params,
      signal: stream.signal,
      identity: stream.identity,
      ...(stream.session === undefined ? {} : { session: stream.session }),
      onMessage: (message) => {
        if (message.kind !== 'notification') return
        if (message.method !== 'notifications/subscriptions/acknowledged') {
          return stream.notification(message.method, message.params)
        }
        wasOpen = true
        stream.acknowledged(objectAt(message.params, 'notifications'))
      },
    })
    if (answer.kind === 'result') return { wasOpen, reason: 'the server ended its notifications' }
    if (answer.error.code === METHOD_NOT_FOUND) return 'unsupported'
    return { wasOpen, reason: answer.error.message }
  } catch (error) {
    return { wasOpen, reason: error instanceof Error ? error.message : String(error) }
  }
}
