/**
 * The three real clients that the house must serve alike, behind one small set of verbs: what differs between the SDKs
 * ends here, so that the tests of the matrix are written once.
 */
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from '@modelcontextprotocol/sdk/types.js'
import * as z from 'zod'
import { isJsonObject, type JsonObject } from '#kernel'
import { createJournal, type Journal } from '../../fakes/observe.ts'

export const clientKinds = ['SDK v1', 'SDK v2 legacy', 'SDK v2 modern'] as const
export type ClientKind = (typeof clientKinds)[number]

export type Said = { readonly method: string; readonly params: JsonObject }
export type Progress = {
  readonly progress: number
  readonly total?: number | undefined
  readonly message?: string | undefined
}
export type RequestOptions = { readonly signal?: AbortSignal; onprogress?(step: Progress): void }

export type MatrixClient = AsyncDisposable & {
  readonly era: 'legacy' | 'modern'
  /** The protocol version agreed on. */
  readonly version: string | undefined
  readonly serverCapabilities: JsonObject
  /** Notifications of the server, except progress. */
  readonly heard: Journal<Said>
  /** What the client was asked, in either era. */
  readonly asked: Journal<Said>
  request(method: string, params?: JsonObject, options?: RequestOptions): Promise<JsonObject>
  callTool(name: string, args?: JsonObject, options?: RequestOptions): Promise<JsonObject>
  /** Wants log messages of this level and worse with every later call. */
  setLogLevel(level: string): Promise<void>
  /** Resolves when the client would hear of changed lists and of these resources. */
  listen(uris?: readonly string[]): Promise<void>
  /** No longer wants to hear of resources. */
  unfollow(uris: readonly string[]): Promise<void>
  /** Says goodbye where the era has a word for it, then closes. */
  leave(): Promise<void>
  close(): Promise<void>
}

export type Ability = 'able' | 'form only' | 'bare'
export type ConnectOptions = {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** What the client says it can do: everything, elicitation by form, or nothing. */
  readonly ability?: Ability
  readonly name?: string
  /** Takes the place of the usual answers. */
  readonly answer?: (asked: Said) => Promise<JsonObject> | JsonObject
}

const capabilities = {
  able: { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } },
  'form only': { elicitation: {} },
  bare: {},
}

/** Connects one of the real clients; it answers every question as `answerTo` says. */
export function connect(kind: ClientKind, options: ConnectOptions): Promise<MatrixClient> {
  switch (kind) {
    case 'SDK v1':
      return connectV1(options)
    case 'SDK v2 legacy':
      return connectV2(options, 'legacy')
    case 'SDK v2 modern':
      return connectV2(options, 'modern')
  }
}

/** Yes to everything: fills forms, visits pages, completes every prompt in the same words. */
export function answerTo({ method, params }: Said): JsonObject {
  switch (method) {
    case 'elicitation/create':
      return params['mode'] === 'url' ? { action: 'accept' } : { action: 'accept', content: fillForm(params) }
    case 'sampling/createMessage':
      return { role: 'assistant', model: 'test-model', content: { type: 'text', text: 'a sampled answer' } }
    default:
      return { roots: [{ uri: 'file:///srv/here', name: 'here' }] }
  }
}

function fillForm({ requestedSchema }: JsonObject): JsonObject {
  const properties = isJsonObject(requestedSchema) ? requestedSchema['properties'] : undefined
  const fields = isJsonObject(properties) ? Object.entries(properties) : []
  return Object.fromEntries(
    fields.map(([name, field]) => [name, isJsonObject(field) && field['type'] === 'boolean' ? true : 'Ada']),
  )
}

/** Either SDK's results and notifications as plain JSON, with every member kept. */
const anyObject = z.looseObject({})
const jsonObject = z.record(z.string(), z.json())

function plain(value: unknown): JsonObject {
  return jsonObject.parse(JSON.parse(JSON.stringify(value ?? {})))
}

function listeners({ answer = answerTo }: ConnectOptions) {
  const heard = createJournal<Said>()
  const asked = createJournal<Said>()
  return {
    heard,
    asked,
    hear: async (message: { method: string; params?: unknown }) => {
      heard.add({ method: message.method, params: plain(message.params) })
    },
    reply: async (message: { method: string; params?: unknown }) => {
      const question = { method: message.method, params: plain(message.params) }
      asked.add(question)
      return answer(question)
    },
  }
}

/** `fetch` that tells when the stream on which a session hears of changes was opened. */
function watchedFetch() {
  const opened = Promise.withResolvers<void>()
  const watched: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    if ((init?.method ?? 'GET') === 'GET' && response.ok) opened.resolve()
    return response
  }
  return { fetch: watched, opened: opened.promise }
}

async function connectV1(options: ConnectOptions): Promise<MatrixClient> {
  const { heard, asked, hear, reply } = listeners(options)
  const ability = options.ability ?? 'able'
  const client = new ClientV1(
    { name: options.name ?? 'matrix-v1', version: '1.0.0' },
    { capabilities: capabilities[ability] },
  )
  // oxlint-disable-next-line typescript/consistent-type-assertions -- the answers are what the schemas of the SDK want
  const answer = reply as never
  if (ability !== 'bare') client.setRequestHandler(ElicitRequestSchema, answer)
  if (ability === 'able') client.setRequestHandler(CreateMessageRequestSchema, answer)
  if (ability === 'able') client.setRequestHandler(ListRootsRequestSchema, answer)
  client.fallbackNotificationHandler = hear
  const stream = watchedFetch()
  const transport = new TransportV1(new URL(options.url), {
    requestInit: { headers: options.headers },
    fetch: stream.fetch,
  })
  // oxlint-disable-next-line typescript/consistent-type-assertions -- the SDK's own types disagree under exactOptionalPropertyTypes
  await client.connect(transport as never)
  const request: MatrixClient['request'] = async (method, params = {}, sendOptions) =>
    plain(await client.request({ method, params }, anyObject, sendOptions))
  return {
    era: 'legacy',
    version: transport.protocolVersion,
    serverCapabilities: plain(client.getServerCapabilities()),
    heard,
    asked,
    request,
    callTool: async (name, args = {}, sendOptions) =>
      plain(await client.callTool({ name, arguments: args }, undefined, sendOptions)),
    setLogLevel: async (level) => void (await request('logging/setLevel', { level })),
    listen: async (uris = []) => {
      await stream.opened
      for (const uri of uris) await request('resources/subscribe', { uri })
    },
    unfollow: async (uris) => {
      for (const uri of uris) await request('resources/unsubscribe', { uri })
    },
    leave: async () => {
      await transport.terminateSession()
      await client.close()
    },
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

const LOG_LEVEL = 'io.modelcontextprotocol/logLevel'

async function connectV2(options: ConnectOptions, era: 'legacy' | 'modern'): Promise<MatrixClient> {
  const { heard, asked, hear, reply } = listeners(options)
  const ability = options.ability ?? 'able'
  // `auto`, not a pin: a client that may fall back is the one that shows whether it was pulled down.
  const client = new ClientV2(
    { name: options.name ?? `matrix-v2-${era}`, version: '1.0.0' },
    { capabilities: capabilities[ability], versionNegotiation: { mode: era === 'modern' ? 'auto' : 'legacy' } },
  )
  // oxlint-disable-next-line typescript/consistent-type-assertions -- the answers are what the schemas of the SDK want
  const answer = reply as never
  if (ability !== 'bare') client.setRequestHandler('elicitation/create', answer)
  if (ability === 'able') client.setRequestHandler('sampling/createMessage', answer)
  if (ability === 'able') client.setRequestHandler('roots/list', answer)
  client.fallbackNotificationHandler = hear
  const stream = watchedFetch()
  const requestInit = { headers: options.headers }
  const transport = new TransportV2(new URL(options.url), { requestInit, fetch: stream.fetch })
  await client.connect(transport)
  const listening: { close(): Promise<void> }[] = []
  let logLevel: string | undefined
  const withLevel = (params: JsonObject): JsonObject =>
    logLevel === undefined ? params : { ...params, _meta: { [LOG_LEVEL]: logLevel } }
  const request: MatrixClient['request'] = async (method, params = {}, sendOptions) =>
    plain(await client.request({ method, params: withLevel(params) }, anyObject, sendOptions))
  return {
    era,
    version: client.getNegotiatedProtocolVersion(),
    serverCapabilities: plain(client.getServerCapabilities()),
    heard,
    asked,
    request,
    callTool: async (name, args = {}, sendOptions) =>
      plain(await client.callTool(withLevel({ name, arguments: args }) as never, sendOptions)),
    setLogLevel: async (level) => {
      if (era === 'modern') logLevel = level
      else await request('logging/setLevel', { level })
    },
    listen: async (uris = []) => {
      if (era === 'modern') return void listening.push(await client.listen(everything(uris)))
      await stream.opened
      for (const uri of uris) await request('resources/subscribe', { uri })
    },
    unfollow: async (uris) => {
      await Promise.all(listening.splice(0).map((subscription) => subscription.close()))
      if (era === 'legacy') for (const uri of uris) await request('resources/unsubscribe', { uri })
    },
    leave: async () => {
      if (era === 'legacy') await transport.terminateSession()
      await client.close()
    },
    close: () => client.close(),
    [Symbol.asyncDispose]: () => client.close(),
  }
}

function everything(uris: readonly string[]) {
  const lists = { toolsListChanged: true, promptsListChanged: true, resourcesListChanged: true }
  return uris.length === 0 ? lists : { ...lists, resourceSubscriptions: [...uris] }
}
