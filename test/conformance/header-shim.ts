import { request } from 'node:http'
import { pipeline } from 'node:stream'
import { listen, type Listening } from '../fakes/listen.ts'

/**
 * A loopback proxy that adds headers, because the conformance suite cannot. It passes everything else on as it came,
 * `Host` and `Origin` too (only the shim's own port becomes the target's), so that what the suite says about
 * DNS rebinding is said about the target.
 */
export async function headerShim({
  target,
  headers,
}: {
  target: string
  headers: Record<string, string>
}): Promise<Listening> {
  const { hostname, port, pathname } = new URL(target)
  const shim: Listening = await listen(
    (req, res) => {
      const toTarget = (value: string) => value.replace(`:${shim.port}`, `:${port}`)
      const { host, origin, ...others } = req.headers
      const onward = request({
        hostname,
        port,
        path: req.url,
        method: req.method,
        headers: {
          ...others,
          ...(host === undefined ? {} : { host: toTarget(host) }),
          ...(origin === undefined ? {} : { origin: toTarget(origin) }),
          ...headers,
        },
      })
      onward.once('response', (reply) => {
        res.writeHead(reply.statusCode ?? 502, reply.headers)
        res.flushHeaders()
        pipeline(reply, res, () => reply.destroy())
      })
      onward.once('error', (error) => {
        if (!res.headersSent) res.writeHead(502)
        res.end(String(error))
      })
      res.once('close', () => onward.destroy())
      pipeline(req, onward, () => undefined)
    },
    { path: pathname },
  )
  return shim
}
