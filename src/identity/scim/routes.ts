import { peerAddress, readJson, type Use, type Witness } from '#http'
import { Problem } from '#kernel'
import type { Log, Metrics } from '#telemetry'
import { answerScim, answerScimError } from './answer.ts'
import { listed, resourceTypes, schemas, serviceProviderConfig } from './discovery.ts'
import { changeGroup, createGroup, listGroups, removeGroup, replaceGroup, showOneGroup } from './groups.ts'
import { parse, withKnownNames } from './parse.ts'
import { SCIM_NOT_FOUND, SCIM_TOO_FAST, SCIM_WRONG_METHOD } from './problems.ts'
import { withMembers } from './project.ts'
import { listQuery } from './schema.ts'
import { createScim, type Scim, type ScimDeps } from './service.ts'
import { changeUser, createUser, listUsers, removeUser, replaceUser, showOneUser, type Client } from './users.ts'

const BASE = '/scim/v2'

type Asked = {
  readonly scim: Scim
  readonly client: Client
  readonly id: string
  readonly query: URLSearchParams
  readonly ifMatch: string | null
  readonly body: () => Promise<unknown>
}
type Handle = (asked: Asked) => object | null | Promise<object | null>
/** `status` 204: of what there is now, only the version is told. */
type Route = { readonly operationId: string; readonly status?: 201 | 204; readonly handle: Handle }

const list = ({ query }: Asked) => parse(listQuery, Object.fromEntries(query))

/** By method and path, `*` for the id. */
const ROUTES: ReadonlyMap<string, Route> = new Map<string, Route>([
  ['GET Users', { operationId: 'scimListUsers', handle: (asked) => listUsers(asked.scim, asked.client, list(asked)) }],
  [
    'POST Users',
    {
      operationId: 'scimCreateUser',
      status: 201,
      handle: async ({ scim, client, body }) => createUser(scim, client, await body()),
    },
  ],
  ['GET Users/*', { operationId: 'scimShowUser', handle: ({ scim, client, id }) => showOneUser(scim, client, id) }],
  [
    'PUT Users/*',
    {
      operationId: 'scimReplaceUser',
      handle: async ({ scim, client, body, ...wish }) => replaceUser(scim, client, { ...wish, body: await body() }),
    },
  ],
  [
    'PATCH Users/*',
    {
      operationId: 'scimChangeUser',
      handle: async ({ scim, client, body, ...wish }) => changeUser(scim, client, { ...wish, body: await body() }),
    },
  ],
  [
    'DELETE Users/*',
    { operationId: 'scimRemoveUser', handle: ({ scim, client, ...wish }) => gone(removeUser(scim, client, wish)) },
  ],
  [
    'GET Groups',
    {
      operationId: 'scimListGroups',
      handle: (asked) =>
        listGroups(asked.scim, asked.client, { ...list(asked), withMembers: withMembers(asked.query) }),
    },
  ],
  [
    'POST Groups',
    {
      operationId: 'scimCreateGroup',
      status: 201,
      handle: async ({ scim, client, body }) => createGroup(scim, client, await body()),
    },
  ],
  ['GET Groups/*', { operationId: 'scimShowGroup', handle: ({ scim, client, id }) => showOneGroup(scim, client, id) }],
  [
    'PUT Groups/*',
    {
      operationId: 'scimReplaceGroup',
      handle: async ({ scim, client, body, ...wish }) => replaceGroup(scim, client, { ...wish, body: await body() }),
    },
  ],
  [
    'PATCH Groups/*',
    {
      operationId: 'scimChangeGroup',
      status: 204,
      handle: async ({ scim, client, body, ...wish }) => changeGroup(scim, client, { ...wish, body: await body() }),
    },
  ],
  [
    'DELETE Groups/*',
    { operationId: 'scimRemoveGroup', handle: ({ scim, client, ...wish }) => gone(removeGroup(scim, client, wish)) },
  ],
  [
    'GET ServiceProviderConfig',
    { operationId: 'scimConfig', handle: ({ client }) => serviceProviderConfig(client.place) },
  ],
  ['GET ResourceTypes', { operationId: 'scimTypes', handle: ({ client }) => listed(resourceTypes(client.place)) }],
  [
    'GET ResourceTypes/*',
    { operationId: 'scimType', handle: ({ client, id }) => oneOf(resourceTypes(client.place), id) },
  ],
  ['GET Schemas', { operationId: 'scimSchemas', handle: ({ client }) => listed(schemas(client.place)) }],
  ['GET Schemas/*', { operationId: 'scimSchema', handle: ({ client, id }) => oneOf(schemas(client.place), id) }],
])

async function gone(done: Promise<void>): Promise<null> {
  await done
  return null
}

function oneOf(all: readonly { id: string }[], id: string): object {
  const found = all.find((one) => one.id.toLowerCase() === id.toLowerCase())
  if (found) return found
  throw new Problem(SCIM_NOT_FOUND, 'There is nothing of this name.')
}

export type ScimRoutesDeps = ScimDeps & {
  /** Where identity providers reach the house. */
  readonly publicUrl: () => string
  readonly witness: Witness
  readonly metrics?: Pick<Metrics, 'scim'>
  readonly log: Log
}

/** SCIM 2.0 as one function from request to answer. Who asks is known before anything of the request is read. */
export function scimRoutes(deps: ScimRoutesDeps): (request: Request) => Promise<Response> {
  const scim = createScim(deps)
  return async (request) => {
    const { route, answer } = await perform(request, { ...deps, scim })
    deps.metrics?.scim(route?.operationId ?? 'scimUnknown', answer.status)
    return answer
  }
}

async function perform(
  request: Request,
  deps: ScimRoutesDeps & { scim: Scim },
): Promise<{ route: Route | undefined; answer: Response }> {
  const { scim } = deps
  const url = new URL(request.url)
  const [type = '', id, ...more] = url.pathname
    .slice(BASE.length + 1)
    .split('/')
    .filter((part) => part !== '')
  const path = more.length > 0 ? '' : `${type}${id === undefined ? '' : '/*'}`
  const route = ROUTES.get(`${request.method} ${path}`)
  const use = useOf(request, route?.operationId ?? 'scimUnknown', path)
  try {
    const value = await deps.witness(use, async () => {
      const client = admit(scim, deps.publicUrl(), use)
      if (!route) throw nothingHere(path)
      const ifMatch = request.headers.get('if-match')
      const asked = { scim, client, id: decode(id ?? ''), query: url.searchParams, ifMatch }
      return route.handle({ ...asked, body: async () => withKnownNames(await readJson(request)) })
    })
    return { route, answer: answerScim(value, { request, query: url.searchParams, status: route?.status }) }
  } catch (error) {
    return { route, answer: answerScimError(error, deps.log) }
  }
}

function useOf(request: Request, operationId: string, path: string): Use {
  // For the audit trail, it only matters whether something may change.
  const method = request.method === 'GET' ? 'GET' : 'POST'
  const operation = { method, path: `${BASE}/${path}`, summary: 'SCIM', access: 'admin' } as const
  return { operationId, operation, headers: request.headers, remoteAddress: peerAddress(request) }
}

function admit(scim: Scim, publicUrl: string, use: Use): Client {
  const answer = scim.authenticate({ authorization: use.headers.get('authorization') ?? undefined })
  if (!answer.ok) throw answer.problem
  const { source, keyId } = answer
  use.caller = { kind: 'scim', userId: null, keyId, face: 'scim' }
  if (!scim.mayGoOn(source)) throw new Problem(SCIM_TOO_FAST, 'This client asks too often; wait a second and go on.')
  const base = publicUrl.replace(/\/$/, '')
  return { source, keyId, place: (path) => `${base}${BASE}/${path}` }
}

function nothingHere(path: string): Problem {
  const methods = [...ROUTES.keys()].filter((key) => key.endsWith(` ${path}`)).map((key) => key.split(' ')[0])
  if (methods.length === 0) return new Problem(SCIM_NOT_FOUND, 'There is nothing at this path of SCIM.')
  return new Problem(SCIM_WRONG_METHOD, `Use ${methods.join(', ')}.`)
}

function decode(id: string): string {
  try {
    const text = decodeURIComponent(id)
    return text.includes('\u0000') ? '' : text
  } catch {
    return ''
  }
}
