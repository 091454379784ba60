import {
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http'
import { request as httpsRequest } from 'node:https'

/** Set on a request that was handed over once, so that it is never handed over again. */
const HANDED_OVER = 'gatehouse-forwarded'

/** True for a request that another replica handed over to this one. */
export function isHandedOver(req: IncomingMessage): boolean {
  return req.headers[HANDED_OVER] !== undefined
}

/** Has another replica answer a request; `gone` when it cannot be reached, and then nothing was answered. */
export function handOver(
  peer: { url: string; from: string },
  exchange: { req: IncomingMessage; res: ServerResponse; body: Buffer | undefined },
): Promise<'forwarded' | 'gone'> {
  const { req, res, body } = exchange
  const target = new URL(req.url ?? '/', peer.url)
  const send = target.protocol === 'https:' ? httpsRequest : httpRequest
  const headers = { ...endToEnd(req.headers), ...lengthOf(body), [HANDED_OVER]: peer.from, ...heardFrom(req) }
  return new Promise((resolve) => {
    const forwarded = send(target, { method: req.method, headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers))
      answer.pipe(res)
      answer.on('error', () => res.destroy())
      resolve('forwarded')
    })
    forwarded.on('error', () => (res.headersSent ? res.destroy() : resolve('gone')))
    res.on('close', () => forwarded.destroy())
    forwarded.end(body)
  })
}

/**
 * What belongs to one connection stays on it (RFC 9110 §7.6.1), and so does how a body was framed: a length that is
 * not the body's would have the other replica take the beginning of somebody else's request for the rest of this one.
 */
function endToEnd(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  const dropped = new Set([...OF_ONE_CONNECTION, ...named])
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !dropped.has(name)))
}

/** As any proxy says it; the other replica believes it where this one is among its `trusted_proxies`. */
function heardFrom({ headers, socket }: IncomingMessage): OutgoingHttpHeaders {
  const before = headers['x-forwarded-for']
  const said = Array.isArray(before) ? before : [before]
  const hops = [...said, socket.remoteAddress].filter((hop) => hop !== undefined)
  return { 'x-forwarded-for': hops.join(', ') }
}

function lengthOf(body: Buffer | undefined): OutgoingHttpHeaders {
  return body === undefined ? {} : { 'content-length': body.length }
}

const OF_ONE_CONNECTION = [
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]
