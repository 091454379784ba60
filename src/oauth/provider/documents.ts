import type { Egress } from '#http'

const MAX_BYTES = 65_536
const TIMEOUT_MS = 3_000

/**
 * Fetches the documents that clients name (their metadata, their keys), and tells them that somebody signed out, through
 * the guarded way out: no private address is ever dialled, and none is reached by a redirect either, since redirects
 * count as failures.
 */
export function createDocumentFetch({ egress, allowHosts }: { egress: Egress; allowHosts: readonly string[] }) {
  const client = egress.open({ trusted: false, allow: allowHosts, connections: 4 })
  return {
    fetch: async (from: URL | RequestInfo, options?: RequestInit): Promise<Response> => {
      const url = from instanceof Request ? from.url : String(from)
      const late = AbortSignal.timeout(TIMEOUT_MS)
      const signal = options?.signal ? AbortSignal.any([options.signal, late]) : late
      const reply = await client.request({
        url,
        ...sentWith(options),
        signal,
        maxBytes: MAX_BYTES,
      })
      if (reply.url !== new URL(url).href) throw new Error('the document is not there but behind a redirect')
      const type = reply.headers['content-type']
      const cache = reply.headers['cache-control']
      return new Response(new Uint8Array(reply.body), {
        status: reply.status,
        headers: {
          'content-type': typeof type === 'string' ? type : 'application/json',
          ...(typeof cache === 'string' ? { 'cache-control': cache } : {}),
        },
      })
    },
    close: () => client.close(),
  }
}

/** A form is posted as one; everything else is read. */
function sentWith(options: RequestInit | undefined) {
  if (options?.method !== 'POST') return { method: 'GET', headers: { accept: 'application/json' } } as const
  const body = options.body instanceof URLSearchParams ? options.body.toString() : ''
  return { method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body } as const
}
