import type { EventStore, JSONRPCMessage } from '@modelcontextprotocol/server'

type StoredEvent = { readonly id: string; readonly streamId: string; readonly message: JSONRPCMessage }

/** Keeps the last events of one legacy session in memory, so that its streams can be resumed with `Last-Event-ID`. */
export function createMemoryEventStore(maxEvents = 1_000): EventStore {
  const events: StoredEvent[] = []
  let next = 0
  return {
    async storeEvent(streamId, message) {
      next += 1
      const id = `${streamId}/${next}`
      events.push({ id, streamId, message })
      if (events.length > maxEvents) events.shift()
      return id
    },
    async getStreamIdForEventId(eventId) {
      return streamOf(eventId)
    },
    async replayEventsAfter(lastEventId, { send }) {
      const streamId = streamOf(lastEventId)
      const after = sequenceOf(lastEventId)
      // Only the stream of the event is replayed: never messages of another request (2025-11-25 basic/transports).
      const missed = events.filter((event) => event.streamId === streamId && sequenceOf(event.id) > after)
      for (const event of missed) {
        if (Object.keys(event.message).length > 0) await send(event.id, event.message)
      }
      return streamId
    },
  }
}

function streamOf(eventId: string): string {
  return eventId.slice(0, eventId.lastIndexOf('/'))
}

function sequenceOf(eventId: string): number {
  return Number(eventId.slice(eventId.lastIndexOf('/') + 1))
}
