import { Problem } from '#kernel'
import { acceptedTypes } from '../context.ts'
import { requireTasks } from '../modern/require-capability.ts'
import type { ModernRequest } from '../modern/session.ts'
import { NOT_ACCEPTABLE, TOO_MANY } from '../problems.ts'
import { honourable, readFilter } from './filter.ts'
import { Listen } from './listen.ts'

/** All open `subscriptions/listen` streams, with their limit per user. */
export class Listens {
  readonly #open = new Set<Listen>()
  readonly #perUser = new Map<string, number>()

  get count(): number {
    return this.#open.size
  }

  /** Acknowledges what can be honoured and keeps the stream open until either side ends it. */
  async open(request: ModernRequest): Promise<void> {
    const asked = readFilter(request.message.params.notifications)
    if (asked.taskIds.length > 0) requireTasks(request.envelope.clientCapabilities, 'Listening to tasks')
    if (!acceptedTypes(request.exchange.req).stream) {
      throw new Problem(NOT_ACCEPTABLE, 'Listening answers with an event stream. Send "Accept: text/event-stream".')
    }
    const { capabilities } = request.face.tools.describe(request.exchange.admission)
    const listen = new Listen(request, honourable(asked, capabilities))
    this.#count(request, +1)
    this.#open.add(listen)
    try {
      await listen.run()
    } finally {
      this.#open.delete(listen)
      this.#count(request, -1)
    }
  }

  /** Ends every stream with its final result. */
  endAll(): void {
    for (const listen of this.#open) listen.end()
  }

  #count(request: ModernRequest, change: 1 | -1): void {
    const { userId, gateway } = request.exchange.admission
    const user = `${gateway}\n${userId}`
    const count = (this.#perUser.get(user) ?? 0) + change
    const max = request.face.limits.listensPerUser
    if (change > 0 && count > max) {
      throw new Problem(TOO_MANY, `${max} streams are open for this user already. Close one first.`)
    }
    if (count === 0) this.#perUser.delete(user)
    else this.#perUser.set(user, count)
  }
}
