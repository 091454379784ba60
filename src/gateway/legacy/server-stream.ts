import { Problem } from '#kernel'
import { acceptedTypes, headerOf } from '../context.ts'
import { NOT_ACCEPTABLE, STREAM_GONE, TOO_MANY } from '../problems.ts'
import type { OpenExchange } from '../open-exchanges.ts'
import type { Beating } from '../pulse.ts'
import type { SessionExchange } from './request.ts'
import { parseEventId, ReplayStream } from './replay.ts'

/** GET: a new stream for what belongs to no call, or one that was cut off, from where the client saw it last. */
export function openServerStream(at: SessionExchange): void {
  if (!acceptedTypes(at.exchange.req).stream) {
    throw new Problem(NOT_ACCEPTABLE, 'This answers with an event stream. Send "Accept: text/event-stream".')
  }
  const lastEventId = headerOf(at.exchange.req, 'last-event-id')
  const place = lastEventId === undefined ? null : parseEventId(lastEventId)
  const known = place === null ? undefined : at.session.streams?.get(place.streamId)
  if (place !== null && known !== undefined) {
    known.connect(at.exchange.res, place.seq)
    return watch(at, known)
  }
  // The rest of a call is lost with its stream; a server stream just goes on.
  if (place?.streamId.startsWith('c')) {
    throw new Problem(STREAM_GONE, 'This stream is no longer kept. Make the call again.')
  }
  openStream(at)
}

function openStream(at: SessionExchange): void {
  const { face, sessions, exchange, session } = at
  const lost = session.serverStreams().filter((stream) => !stream.isConnected)
  if (session.serverStreams().length - lost.length >= face.limits.streamsPerSession) {
    throw new Problem(TOO_MANY, `${face.limits.streamsPerSession} streams of this session are open. Close one first.`)
  }
  const stream = new ReplayStream({
    face,
    budget: sessions.budget,
    kind: 'server',
    number: session.nextNumber(),
    protocolVersion: session.protocolVersion,
    headers: { 'mcp-session-id': session.id },
    onGone: (gone) => session.removeStream(gone),
  })
  session.addStream(stream)
  session.stopListening ??= face.tools.onListChanged(exchange.admission, (kind) => {
    session.outside.notify(`notifications/${kind}/list_changed`, {})
  })
  stream.connect(exchange.res, null)
  // A client that asks for a new stream has given up those that were cut off.
  for (const other of lost) other.handOver(stream)
  watch(at, stream)
}

/** A key that was revoked hears nothing more from then on; one that expired or a gateway that is gone, a moment later. */
function watch({ face, exchange, sessions, session }: SessionExchange, stream: ReplayStream): void {
  let admittedAt = face.clock.now()
  const watcher: Beating & OpenExchange = {
    exchange,
    beat(now) {
      if (now - admittedAt < face.limits.keepAliveMs) return
      admittedAt = now
      sessions.touch(session)
      if (face.tools.whyNoLonger(exchange) !== null) stream.discard()
    },
    expel: () => stream.discard(),
  }
  face.pulse.add(watcher)
  face.open.add(watcher)
  exchange.res.once('close', () => {
    face.pulse.remove(watcher)
    face.open.remove(watcher)
  })
}
