/** A listener at an inside address, which nobody is to reach. It counts who does, and ends their connection. */
import { createServer, type AddressInfo } from 'node:net'

export type Canary = { readonly port: number; connections(): number; close(): Promise<void> }

export async function startCanary(host: string, port = 0): Promise<Canary> {
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.on('error', () => {}).destroy()
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  return {
    port: (server.address() as AddressInfo).port, // a TCP server that listens has one
    connections: () => connections,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
