import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const OPENSSL = '/usr/bin/openssl'

/** True where a certificate can be made. */
export function hasOpenssl(): boolean {
  return existsSync(OPENSSL)
}

/** A certificate for this machine, signed by itself, with its key. */
export async function makeCertificate(): Promise<{ key: string; cert: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'certificate-'))
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const about = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  await promisify(execFile)(OPENSSL, [...args, ...about, '-keyout', 'key.pem', '-out', 'cert.pem'], { cwd: folder })
  const [key, cert] = await Promise.all(['key.pem', 'cert.pem'].map((name) => readFile(join(folder, name), 'utf8')))
  await rm(folder, { recursive: true })
  return { key: key ?? '', cert: cert ?? '' }
}
