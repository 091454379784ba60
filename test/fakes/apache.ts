/** Debian's Apache with `mod_auth_openidc`, as a company has it before an application that knows nothing of sign-ins. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './listen.ts'

const PROGRAM = '/usr/sbin/apache2'
const MODULES = '/usr/lib/apache2/modules'

/** True where Apache and its module are installed. */
export function hasApache(): boolean {
  return existsSync(PROGRAM) && existsSync(join(MODULES, 'mod_auth_openidc.so'))
}

export type Apache = {
  readonly url: string
  /** What it wrote in its log of errors. */
  log(): Promise<string>
  [Symbol.asyncDispose](): Promise<void>
}

type Client = { readonly issuer: string; readonly clientId: string; readonly clientSecret: string }
type Place = { readonly port: number; readonly url: string; readonly callback: string; readonly goodbye: string }

/** Where Apache will be: known before it starts, because it must be registered first. */
export async function placeForApache(): Promise<Place & { readonly backChannel: string }> {
  const port = await freePort()
  const url = `http://localhost:${port}`
  const callback = `${url}/oidc`
  return { port, url, callback, goodbye: `${url}/bye`, backChannel: `http://127.0.0.1:${port}/oidc?logout=backchannel` }
}

/** Every page tells in its headers who is signed in, and what userinfo said of them. */
export async function startApache(place: Place, client: Client): Promise<Apache> {
  const dir = await mkdtemp(join(tmpdir(), 'gatehouse-apache-'))
  await chmod(dir, 0o755)
  await mkdir(join(dir, 'www'))
  await writeFile(join(dir, 'www', 'index.html'), '<h1>Inside</h1>')
  await writeFile(join(dir, 'www', 'bye'), 'goodbye')
  await writeFile(join(dir, 'apache.conf'), configOf(dir, place, client))
  const program = spawn(PROGRAM, ['-d', dir, '-f', join(dir, 'apache.conf'), '-DFOREGROUND'], { stdio: 'ignore' })
  const ended = once(program, 'exit')
  const log = () => readFile(join(dir, 'error.log'), 'utf8').catch(() => '')
  const close = async (): Promise<void> => {
    program.kill('SIGTERM')
    await ended
    await rm(dir, { recursive: true, force: true })
  }
  if (!(await isUp(place.url, ended))) {
    const why = await log()
    await close()
    throw new Error(`Apache did not start: ${why}`)
  }
  return { url: place.url, log, [Symbol.asyncDispose]: close }
}

async function isUp(url: string, ended: Promise<unknown>): Promise<boolean> {
  let isGone = false
  void ended.then(() => (isGone = true))
  for (const until = Date.now() + 10_000; Date.now() < until && !isGone;) {
    if (
      await fetch(`${url}/bye`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return true
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return false
}

function configOf(dir: string, { port, callback }: Place, { issuer, clientId, clientSecret }: Client): string {
  const modules = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'dir', 'env', 'headers', 'auth_openidc']
  return `
    ${modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`).join('\n')}
    ${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
    Listen 127.0.0.1:${port}
    ServerName localhost:${port}
    PidFile ${dir}/apache.pid
    Mutex file:${dir}
    ErrorLog ${dir}/error.log
    StartServers 1
    DocumentRoot ${dir}/www
    DirectoryIndex index.html
    OIDCProviderMetadataURL ${issuer}/.well-known/openid-configuration
    OIDCClientID ${clientId}
    OIDCClientSecret ${clientSecret}
    OIDCRedirectURI ${callback}
    OIDCCryptoPassphrase a-passphrase-of-a-test
    OIDCScope "openid profile email"
    OIDCPKCEMethod S256
    OIDCRemoteUserClaim preferred_username
    OIDCPassUserInfoAs claims json
    <Location />
      AuthType openid-connect
      Require valid-user
      Header set x-user "expr=%{REMOTE_USER}"
      Header set x-userinfo "%{OIDC_USERINFO_json}e"
    </Location>
    <Location /bye>
      AuthType None
      Require all granted
    </Location>
  `
}
