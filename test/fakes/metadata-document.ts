/**
 * A program's own web site, with its client metadata document on it. It has a certificate of its own making, which this
 * process trusts until the end: whoever fetches the document checks the certificate as anybody's.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { promisify } from 'node:util'
import type { JsonObject } from '#kernel'
import { sendJson } from './listen.ts'

const OPENSSL = '/usr/bin/openssl'

/** True where a certificate can be made. */
export function hasOpenssl(): boolean {
  return existsSync(OPENSSL)
}

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

async function makeCertificate(): Promise<{ key: string; cert: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'certificate-'))
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const about = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  await promisify(execFile)(OPENSSL, [...args, ...about, '-keyout', 'key.pem', '-out', 'cert.pem'], { cwd: folder })
  const [key, cert] = await Promise.all(['key.pem', 'cert.pem'].map((name) => readFile(join(folder, name), 'utf8')))
  await rm(folder, { recursive: true })
  return { key: key ?? '', cert: cert ?? '' }
}
