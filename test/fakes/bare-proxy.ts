/** The least a proxy in Node can do, to compare a gateway with: one connection pool, bytes in, bytes out. */
import { Agent, request } from 'node:http'
import { listen, type Listening } from './listen.ts'

export async function startBareProxy({ target, port = 0 }: { target: string; port?: number }): Promise<Listening> {
  const { hostname, port: targetPort, pathname } = new URL(target)
  const agent = new Agent({ keepAlive: true, maxSockets: 256 })
  const http = await listen(
    (req, res) => {
      const { host: _ours, connection: _hop, ...headers } = req.headers
      const onward = request(
        { hostname, port: targetPort, path: req.url, method: req.method, headers, agent },
        (reply) => {
          res.writeHead(reply.statusCode ?? 502, reply.headers)
          reply.pipe(res)
        },
      )
      onward.on('error', () => (res.headersSent ? res.destroy() : res.writeHead(502).end()))
      res.on('close', () => onward.destroy())
      req.pipe(onward)
    },
    { port, path: pathname },
  )
  const close = async () => {
    agent.destroy()
    await http.close()
  }
  return { ...http, close, [Symbol.asyncDispose]: close }
}
