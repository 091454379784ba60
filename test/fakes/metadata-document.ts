/**
 * A program's own web site, with its client metadata document on it. It has a certificate of its own making, which this
 * process trusts until the end: whoever fetches the document checks the certificate as anybody's.
 */
import { createServer } from 'node:https'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { JsonObject } from '#kernel'
import { makeCertificate } from './certificate.ts'
import { sendJson } from './listen.ts'

export type MetadataDocument = {
  /** The address of the document, which is the id of the client. */
  readonly clientId: string
  /** How often it was fetched. */
  readonly count: () => number
  [Symbol.asyncDispose](): Promise<void>
}

export async function serveMetadataDocument(metadata: JsonObject): Promise<MetadataDocument> {
  const { key, cert } = await makeCertificate()
  let fetches = 0
  let clientId = ''
  const server = createServer({ key, cert }, (req, res) => {
    fetches += 1
    if (req.url === '/client.json') sendJson(res, 200, { client_id: clientId, ...metadata })
    else sendJson(res, 404, {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  clientId = `https://localhost:${typeof address === 'object' ? address?.port : ''}/client.json`
  const trusted = getCACertificates('default')
  setDefaultCACertificates([...trusted, cert])
  return {
    clientId,
    count: () => fetches,
    [Symbol.asyncDispose]: async () => {
      setDefaultCACertificates(trusted)
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
