import * as z from 'zod'
import { defineContract } from '#http'
import { gatewayConfig, serverConfig } from './config.ts'
import * as problems from './problems.ts'

const name = z.strictObject({ name: z.string().min(1).max(40) })
const slug = z.strictObject({ slug: z.string().min(1).max(63) })
const changeId = z.strictObject({ id: z.string().min(1).max(64) })
const user = z.string().min(1).max(256).optional().meta({
  description: 'For whom. An admin may name anybody; a key of one user only that user.',
})
const anything = z.record(z.string(), z.unknown())
const sent = z.record(z.string().max(1_024), z.unknown())
const time = z.int().meta({ description: 'Milliseconds since 1970.' })

const serverHealth = z.object({
  state: z.enum(['starting', 'healthy', 'degraded', 'unreachable', 'needs_consent']),
  reason: z.string().meta({ description: 'In words; empty when healthy.' }),
  since: time,
  checkedAt: time.nullable(),
  retryAt: time.nullable(),
  era: z.string().nullable(),
  tools: z.int(),
})

const serverInfo = z
  .object({
    name: z.string(),
    transport: z.enum(['http', 'stdio', 'worker', 'builtin']),
    origin: z.enum(['file', 'api']).meta({ description: 'Where it is declared.' }),
    enabled: z.boolean(),
    target: z.string().meta({ description: 'Its address or command, without anything secret.' }),
    guard: z.enum(['credential', 'identity', 'process', 'none']).meta({
      description:
        'What can keep callers from going around the gateway; identity: the server can demand our token; none: we send nothing that only we have.',
    }),
    tags: z.array(z.string()),
    health: serverHealth,
    held: z.array(z.string()).meta({ description: 'Tools that wait for an admin.' }),
    usage: anything,
  })
  .meta({ id: 'Server' })

const probe = z
  .object({
    verdict: z.enum(['open', 'identity', 'closed', 'unknown', 'skipped']).meta({
      description:
        'open: it lists its tools for whoever comes; identity: it wants our identity token; closed: it refuses whoever brings nothing; unknown: it gave no answer that says so; skipped: nobody reaches it over a network.',
    }),
    detail: z.string(),
    tools: z.int().nullable().meta({ description: 'How many tools it listed for a stranger.' }),
  })
  .meta({ id: 'Probe' })

const gatewayInfo = gatewayConfig
  .extend({ origin: z.enum(['file', 'api']), servers: z.array(z.string()), toolCount: z.int() })
  .meta({ id: 'Gateway' })

const shownTool = z
  .object({
    name: z.string().meta({ description: 'How it is called here.' }),
    server: z.string(),
    original: z.string().meta({ description: "Its server's own name for it." }),
    title: z.string().optional(),
    description: z.string().optional(),
    inputSchema: anything,
    outputSchema: anything.optional(),
    annotations: anything.optional(),
  })
  .meta({ id: 'Tool' })

const toolList = z.object({
  gateway: z.string(),
  user: z.string(),
  tools: z.array(shownTool),
  missing: z
    .array(z.object({ server: z.string(), state: z.string(), reason: z.string(), retryAt: time.nullable() }))
    .meta({ description: 'Servers whose tools are missing or old, and why.' }),
})

const callRequest = z.strictObject({
  tool: z.string().min(1).max(256),
  arguments: sent.default({}),
  user,
  idempotencyKey: z.string().min(1).max(256).optional().meta({ description: 'The same key never calls twice.' }),
  inputResponses: sent.optional().meta({ description: 'Answers to an earlier `input_required`.' }),
  requestState: z.string().min(1).max(65_536).optional().meta({ description: 'As it came with `input_required`.' }),
})

const callResult = z
  .discriminatedUnion('status', [
    z.object({
      status: z.literal('complete'),
      isError: z.boolean(),
      content: z.array(anything),
      structuredContent: z.unknown().optional(),
      _meta: anything.optional(),
    }),
    z.object({
      status: z.literal('input_required'),
      requests: z.record(z.string(), z.object({ method: z.string(), params: anything.optional() })),
      requestState: z.string(),
    }),
  ])
  .meta({ id: 'CallResult' })
export type CallResult = z.output<typeof callResult>

const change = z
  .object({
    id: z.string(),
    server: z.string(),
    tool: z.string(),
    kind: z.enum(['added', 'changed', 'removed']),
    state: z.enum(['accepted', 'held', 'rejected', 'superseded']),
    diff: z.array(z.string()),
    at: time,
    decidedAt: time.nullable(),
    decidedBy: z.string().nullable(),
  })
  .meta({ id: 'Change' })

const serverBody = serverConfig.meta({ id: 'ServerConfig' })

const serverOperations = defineContract({
  listServers: {
    method: 'GET',
    path: '/api/v1/servers',
    summary: 'All servers and how they are',
    access: 'admin',
    reply: z.object({ servers: z.array(serverInfo) }),
  },
  addServer: {
    method: 'POST',
    path: '/api/v1/servers',
    summary: 'Add a server; answers when it was listed once, well or not',
    access: 'admin',
    about: { kind: 'server', part: 'body', member: 'name' },
    body: serverBody,
    reply: serverInfo,
    status: 201,
    errors: [problems.NAME_TAKEN],
  },
  replaceServer: {
    method: 'PUT',
    path: '/api/v1/servers/{name}',
    summary: 'Change a server that was added here; running calls end, its tools keep their names',
    access: 'admin',
    about: { kind: 'server', part: 'params', member: 'name' },
    params: name,
    body: serverBody,
    reply: serverInfo,
    errors: [problems.NOT_FOUND, problems.NAME_TAKEN, problems.DECLARED_IN_FILE],
  },
  removeServer: {
    method: 'DELETE',
    path: '/api/v1/servers/{name}',
    summary: 'Remove a server that was added here',
    access: 'admin',
    about: { kind: 'server', part: 'params', member: 'name' },
    params: name,
    errors: [problems.NOT_FOUND, problems.DECLARED_IN_FILE],
  },
  checkServer: {
    method: 'POST',
    path: '/api/v1/servers/{name}/check',
    summary: 'List a server anew, now',
    access: 'admin',
    about: { kind: 'server', part: 'params', member: 'name' },
    params: name,
    reply: serverInfo,
    errors: [problems.NOT_FOUND],
  },
  probeServer: {
    method: 'POST',
    path: '/api/v1/servers/{name}/probe',
    summary: 'Ask a server what it offers without our credentials, as anybody on this machine could',
    access: 'admin',
    about: { kind: 'server', part: 'params', member: 'name' },
    params: name,
    reply: probe,
    errors: [problems.NOT_FOUND],
  },
})

const gatewayOperations = defineContract({
  listGateways: {
    method: 'GET',
    path: '/api/v1/gateways',
    summary: 'All gateways',
    access: 'admin',
    reply: z.object({ gateways: z.array(gatewayInfo) }),
  },
  getGateway: {
    method: 'GET',
    path: '/api/v1/gateways/{slug}',
    summary: 'One gateway',
    access: 'admin',
    about: { kind: 'gateway', part: 'params', member: 'slug' },
    params: slug,
    reply: gatewayInfo,
    errors: [problems.NO_SUCH_GATEWAY],
  },
  saveGateway: {
    method: 'POST',
    path: '/api/v1/gateways',
    summary: 'Make a gateway, or put another in its place',
    access: 'admin',
    about: { kind: 'gateway', part: 'body', member: 'slug' },
    body: gatewayConfig.meta({ id: 'GatewayConfig' }),
    reply: gatewayInfo,
    errors: [problems.DECLARED_IN_FILE],
  },
  removeGateway: {
    method: 'DELETE',
    path: '/api/v1/gateways/{slug}',
    summary: 'Remove a gateway that was made here',
    access: 'admin',
    about: { kind: 'gateway', part: 'params', member: 'slug' },
    params: slug,
    errors: [problems.NOT_FOUND, problems.DECLARED_IN_FILE],
  },
})

const callOperations = defineContract({
  listGatewayTools: {
    method: 'GET',
    path: '/api/v1/gateways/{slug}/tools',
    summary: 'The tools a user sees at a gateway',
    access: 'gateway',
    about: { kind: 'gateway', part: 'params', member: 'slug' },
    params: slug,
    query: z.strictObject({ user }),
    reply: toolList,
    errors: [problems.UNAUTHENTICATED, problems.NOT_ALLOWED, problems.NO_SUCH_GATEWAY],
  },
  callTool: {
    method: 'POST',
    path: '/api/v1/gateways/{slug}/call',
    summary: 'Call a tool',
    description:
      'A tool that fails answers 200 with `isError`. With `input_required`, send the same call again with `inputResponses` and `requestState`.',
    access: 'gateway',
    about: { kind: 'gateway', part: 'params', member: 'slug' },
    params: slug,
    body: callRequest,
    reply: callResult,
    errors: [
      problems.UNAUTHENTICATED,
      problems.NOT_ALLOWED,
      problems.NO_SUCH_GATEWAY,
      problems.CALL_REFUSED,
      problems.CALL_FAILED,
    ],
  },
})

const changeOperations = defineContract({
  listChanges: {
    method: 'GET',
    path: '/api/v1/changes',
    summary: 'What servers changed in their tools, newest first',
    access: 'admin',
    about: { kind: 'server', part: 'query', member: 'server' },
    query: z.strictObject({
      server: z.string().min(1).max(40).optional(),
      state: z.enum(['accepted', 'held', 'rejected', 'superseded']).optional(),
      limit: z.coerce.number().int().min(1).max(1_000).default(100),
    }),
    reply: z.object({ changes: z.array(change) }),
  },
  acceptChange: {
    method: 'POST',
    path: '/api/v1/changes/{id}/accept',
    summary: 'Let a held change take effect',
    access: 'admin',
    params: changeId,
    errors: [problems.NOT_FOUND],
  },
  rejectChange: {
    method: 'POST',
    path: '/api/v1/changes/{id}/reject',
    summary: 'Keep a held change out for good',
    access: 'admin',
    params: changeId,
    errors: [problems.NOT_FOUND],
  },
})

export const toolsContract = {
  ...serverOperations,
  ...gatewayOperations,
  ...callOperations,
  ...changeOperations,
} as const
