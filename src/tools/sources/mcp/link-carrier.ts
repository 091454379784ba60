import type { CallerSession } from '../../source.ts'
import { objectAt, stringAt } from './json.ts'
import type { Link, ServerMessage } from './link.ts'
import type { ModernCarrier, ModernRequest } from './modern/carrier.ts'

/** A link that carries requests of the stateless era, and which of them are under way. */
export type Line = { readonly link: Link; readonly requests: LinkRequests }

/** Links as a carrier; `lineFor` gives the one to use for a caller, or for ourselves. */
export function createLinkCarrier(
  lineFor: (session: CallerSession | undefined, signal: AbortSignal) => Promise<Line>,
): ModernCarrier {
  return {
    request: async (request) => {
      const { link, requests } = await lineFor(request.session, request.signal)
      using _underWay = requests.add(request)
      const { method, params, signal, identity, maxBytes } = request
      const response = await link.request({ method, params, signal, identity, maxBytes })
      if ('error' in response) return { kind: 'error', id: null, error: response.error }
      const { result, isError } = response
      return { kind: 'result', id: 0, result, isError, resultType: stringAt(result.value(), 'resultType') }
    },
  }
}

const ACKNOWLEDGED = 'notifications/subscriptions/acknowledged'

/** The requests under way on one link, to find those that a notification is for: a link has no streams that would say so. */
export class LinkRequests {
  readonly #calls = new Set<ModernRequest>()
  readonly #listeners = new Set<ModernRequest>()
  /** Listeners that the server has not acknowledged yet, in the order in which they asked. */
  readonly #waiting = new Set<ModernRequest>()

  onIdle: (() => void) | undefined

  get size(): number {
    return this.#calls.size + this.#listeners.size
  }

  add(request: ModernRequest): Disposable {
    const isListener = request.method === 'subscriptions/listen'
    const requests = isListener ? this.#listeners : this.#calls
    requests.add(request)
    if (isListener) this.#waiting.add(request)
    return {
      [Symbol.dispose]: () => {
        requests.delete(request)
        this.#waiting.delete(request)
        if (this.size === 0) this.onIdle?.()
      },
    }
  }

  receive({ id, method, params }: ServerMessage): void {
    if (id !== undefined) return
    for (const request of this.#meant(method, params)) request.onMessage?.({ kind: 'notification', method, params })
  }

  #meant(method: string, params: ServerMessage['params']): readonly ModernRequest[] {
    switch (method) {
      case 'notifications/progress':
        return [...this.#calls].filter(
          (call) => objectAt(call.params, '_meta')['progressToken'] === params['progressToken'],
        )
      case 'notifications/message':
        return this.#calls.size === 1 ? [...this.#calls] : []
      case ACKNOWLEDGED: {
        const first = [...this.#waiting].slice(0, 1)
        for (const request of first) this.#waiting.delete(request)
        return first
      }
      default:
        return [...this.#listeners]
    }
  }
}
