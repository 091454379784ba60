/** Real MCP clients that know nothing but an address and go the whole way by OAuth, each behind one verb. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client'
import type { OAuthClientInformationMixed, OAuthDiscoveryState, OAuthTokens } from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import * as z from 'zod'
import { freePort } from '../fakes/listen.ts'

/** What a client found when it was let in. */
export type Found = { readonly tools: readonly string[]; readonly whoami: string }

/** Opens the address at a browser and resolves with where the browser was sent. */
export type AtBrowser = (url: string) => Promise<URL>

export type ClientOptions = {
  readonly url: string
  readonly atBrowser: AtBrowser
  /** The address of a metadata document; absent: the client registers itself. */
  readonly metadataUrl?: string
}

export const CLIENTS: Readonly<Record<string, (options: ClientOptions) => Promise<Found>>> = {
  'SDK v1': withV1,
  'SDK v2, legacy': (options) => withV2(options, 'legacy'),
  'SDK v2, modern': (options) => withV2(options, { pin: '2026-07-28' }),
  Inspector: withInspector,
}

const REDIRECT = 'http://127.0.0.1:3118/callback'

/** Everything a client keeps, in memory. */
function createKeeper(metadataUrl: string | undefined) {
  let information: OAuthClientInformationMixed | undefined
  let tokens: OAuthTokens | undefined
  let verifier = ''
  let asked = ''
  let discovered: OAuthDiscoveryState | undefined
  return {
    asked: () => asked,
    redirectUrl: REDIRECT,
    ...(metadataUrl === undefined ? {} : { clientMetadataUrl: metadataUrl }),
    clientMetadata: { client_name: 'A real client', redirect_uris: [REDIRECT] },
    state: () => 'a-state-of-its-own',
    clientInformation: () => information,
    saveClientInformation: (given: OAuthClientInformationMixed) => void (information = given),
    tokens: () => tokens,
    saveTokens: (given: OAuthTokens) => void (tokens = given),
    redirectToAuthorization: (url: URL) => void (asked = url.href),
    saveCodeVerifier: (text: string) => void (verifier = text),
    codeVerifier: () => verifier,
    saveDiscoveryState: (given: OAuthDiscoveryState) => void (discovered = given),
    discoveryState: () => discovered,
  }
}

type Mode = 'legacy' | { readonly pin: string }

async function withV2({ url, atBrowser, metadataUrl }: ClientOptions, mode: Mode): Promise<Found> {
  const authProvider = createKeeper(metadataUrl)
  const open = () => new TransportV2(new URL(url), { authProvider })
  const create = () => new ClientV2({ name: 'v2', version: '1' }, { versionNegotiation: { mode } })
  const first = open()
  await mustBeRefused(create().connect(first))
  await first.finishAuth((await atBrowser(authProvider.asked())).searchParams)
  const client = create()
  await client.connect(open())
  return look(client)
}

async function withV1({ url, atBrowser, metadataUrl }: ClientOptions): Promise<Found> {
  const authProvider = createKeeper(metadataUrl)
  const open = () => new TransportV1(new URL(url), { authProvider })
  const create = () => new ClientV1({ name: 'v1', version: '1' })
  const first = open()
  await mustBeRefused(create().connect(first))
  await first.finishAuth((await atBrowser(authProvider.asked())).searchParams.get('code') ?? '')
  const client = create()
  await client.connect(open())
  return look(client)
}

/** A client without a token is told 401, finds out all by itself where to go, and says that it has to. */
async function mustBeRefused(connecting: Promise<void>): Promise<void> {
  const refusal = await connecting.then(
    () => 'it was let in',
    (error: Error) => `${error.name} ${error.message}`,
  )
  if (!/unauthorized/i.test(refusal)) throw new Error(`the client was to be refused first: ${refusal}`)
}

type Looking = {
  listTools(): Promise<{ tools: readonly { name: string }[] }>
  callTool(call: { name: string }): Promise<object>
  close(): Promise<void>
}

async function look(client: Looking): Promise<Found> {
  const { tools } = await client.listTools()
  const whoami = firstText(await client.callTool({ name: 'whoami' }))
  await client.close()
  return { tools: tools.map(({ name }) => name), whoami }
}

const result = z.looseObject({ content: z.array(z.looseObject({ text: z.string() })) })

function firstText(value: unknown): string {
  return result.parse(value).content[0]?.text ?? ''
}

const INSPECTOR = dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/inspector/package.json'))

/** The Inspector's command line, twice; it signs in each time. */
async function withInspector(options: ClientOptions): Promise<Found> {
  const home = await mkdtemp(join(tmpdir(), 'inspector-'))
  try {
    const listed = await inspect(options, home, ['--method', 'tools/list'])
    const called = await inspect(options, home, ['--method', 'tools/call', '--tool-name', 'whoami'])
    const { tools } = z.looseObject({ tools: z.array(z.looseObject({ name: z.string() })) }).parse(listed)
    return { tools: tools.map(({ name }) => name), whoami: firstText(called) }
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

async function inspect({ url, atBrowser, metadataUrl }: ClientOptions, home: string, args: readonly string[]) {
  const path = metadataUrl === undefined ? '/oauth/callback' : new URL(REDIRECT).pathname
  const callback = `http://127.0.0.1:${await freePort()}${path}`
  const who = metadataUrl === undefined ? [] : ['--client-metadata-url', metadataUrl]
  const program = join(INSPECTOR, 'clients/cli/build/index.js')
  const where = ['--server-url', url, '--transport', 'http', '--callback-url', callback]
  const child = spawn(process.execPath, [program, ...where, ...who, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // It wants to open a browser, and is given one that does nothing: the person reads the address.
    env: { PATH: process.env['PATH'], HOME: home, NO_COLOR: '1', BROWSER: 'true', MCP_AUTO_OPEN_ENABLED: 'true' },
  })
  const exited = once(child, 'exit')
  const said = { out: '', error: '' }
  child.stdout.on('data', (chunk: Buffer) => void (said.out += chunk.toString()))
  for await (const line of createInterface({ input: child.stderr })) {
    said.error += `${line}\n`
    const asked = /navigate to: (\S+)/.exec(line)?.[1]
    if (asked !== undefined) await fetch(await atBrowser(asked))
  }
  const [code] = await exited
  if (code !== 0) throw new Error(`the Inspector ended with ${code}: ${said.error} ${said.out}`)
  const answer: unknown = JSON.parse(said.out)
  return answer
}
