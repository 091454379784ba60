import * as z from 'zod'

/** The `[[servers]]` and `[[gateways]]` sections of gatehouse.toml; the admin API takes the same shapes. */

const serverName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'use 1–40 of a–z, 0–9 and "-", starting with a letter or digit')
const slug = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'use 1–63 of a–z, 0–9 and "-", starting with a letter or digit')
const address = z
  .url({ protocol: /^https?$/, error: 'write an address that begins with http:// or https://' })
  .max(2048)
const milliseconds = z.int().min(1).max(86_400_000)

const common = {
  name: serverName,
  title: z.string().max(200).optional(),
  tags: z.array(z.string().min(1).max(64)).max(32).default([]),
  enabled: z.boolean().default(true),
  /** What happens when the server changes a tool: take it, or keep it back until an admin accepts it. */
  on_change: z.enum(['accept', 'hold']).default('accept'),
  /** Time without any sign of life after which a call is given up. */
  timeout_ms: milliseconds.default(60_000),
  max_concurrency: z.int().min(1).max(10_000).default(256),
  /** How often a call that is harmless to repeat is made again when its server did not answer. */
  retries: z.int().min(0).max(5).default(1),
  max_result_bytes: z.int().min(1024).max(1_073_741_824).default(33_554_432),
  /** Hosts (`name`, `*.name`) and CIDRs that may be dialled although the guard would refuse them. */
  allow_addresses: z.array(z.string().min(1).max(253)).max(64).default([]),
}

const identity = {
  /** Says to the server with every request who calls, in a token signed by us and made for this server alone. */
  identity_token: z.boolean().default(false),
  /** For whom the token is made (`aud`); unset: the server's url, or `gatehouse:server:NAME` for a program. */
  identity_audience: z.string().min(1).max(2048).optional(),
}

const http = z.strictObject({
  ...common,
  ...identity,
  transport: z.literal('http'),
  url: address,
  /** Sent with every request to this server; values may be `${env:…}` or `${file:…}`. */
  headers: z.record(z.string().max(128), z.string().max(8192)).default({}),
  /** Upstream sessions held at once for session-era servers; the longest idle one is closed to make room. */
  max_sessions: z.int().min(1).max(100_000).default(5_000),
  session_idle_ms: milliseconds.default(600_000),
})

const stdio = z.strictObject({
  ...common,
  ...identity,
  transport: z.literal('stdio'),
  command: z.array(z.string().min(1).max(4096)).min(1).max(256),
  cwd: z.string().max(4096).optional(),
  env: z.record(z.string().max(256), z.string().max(32_768)).default({}),
  /** Who may share a process: one per caller session, one per user, or one pool for all (for servers that keep no state). */
  isolation: z.enum(['session', 'user', 'shared']).default('user'),
  max_processes: z.int().min(1).max(1_000).default(8),
  idle_stop_ms: milliseconds.default(300_000),
  start_timeout_ms: milliseconds.default(30_000),
})

const worker = z.strictObject({
  ...common,
  ...identity,
  transport: z.literal('worker'),
  url: address,
  secret: z.string().min(1).max(4096),
  /** Values for the secrets that the worker's tools ask for by name. */
  secrets: z.record(z.string().max(256), z.string().max(32_768)).default({}),
})

const builtin = z.strictObject({
  ...common,
  transport: z.literal('builtin'),
  builtin: z.enum(['reference']).default('reference'),
})

export const serverConfig = z.discriminatedUnion('transport', [http, stdio, worker, builtin])
export type ServerConfig = z.output<typeof serverConfig>
export type ServerConfigInput = z.input<typeof serverConfig>
export type HttpServerConfig = z.output<typeof http>
export type StdioServerConfig = z.output<typeof stdio>
export type WorkerServerConfig = z.output<typeof worker>
export type BuiltinServerConfig = z.output<typeof builtin>

/** `server/name` with `*` standing for any run of characters, or `tag:NAME` for all servers with that tag. */
export const pattern = z
  .string()
  .min(1)
  .max(256)
  .regex(/^(tag:[^/]+|[^/]+\/.+|\*)$/, 'write it as server/tool, server/*, */name* or tag:NAME')

const override = z.strictObject({
  /** `server/tool` with the tool's original name. */
  tool: z
    .string()
    .max(512)
    .regex(/^[^/]+\/.+$/, 'write it as server/tool'),
  name: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'use 1–64 of A–Z, a–z, 0–9, "_" and "-"')
    .optional(),
  title: z.string().max(200).optional(),
  description: z.string().max(16_384).optional(),
  /** Arguments the caller neither sees nor sets. */
  hide: z.array(z.string().min(1).max(256)).max(64).default([]),
  /** Arguments with a fixed value; they are hidden as well. */
  pin: z.record(z.string().max(256), z.json()).default({}),
  /** Values used when the caller leaves the argument out. */
  default: z.record(z.string().max(256), z.json()).default({}),
})

const rateLimit = z.strictObject({
  calls: z.int().min(1).max(1_000_000),
  seconds: z.number().min(0.1).max(86_400),
  /** Counted for each user, for each tool, for each tool of each user, or for the whole gateway together. */
  per: z.enum(['user', 'tool', 'user+tool', 'gateway']).default('user'),
  /** Only calls of these tools (`server/tool`, original names) count; unset: all. */
  tools: z.array(pattern).max(100).optional(),
})
export type RateLimit = z.output<typeof rateLimit>

/** Scopes that mean something else already. */
const OTHER_SCOPES = ['mcp', 'openid', 'profile', 'email', 'groups', 'offline_access']

const stepUp = z.strictObject({
  tools: z.array(pattern).min(1).max(100),
  scope: z
    .string()
    .regex(/^[a-z][a-z0-9:._-]{0,63}$/, 'use 1–64 of a–z, 0–9, ":", ".", "_" and "-", starting with a letter')
    .refine((scope) => !OTHER_SCOPES.includes(scope), 'this scope has a meaning of its own; choose another name'),
  /** What people read when they are asked for it. */
  allows: z.string().min(1).max(200).optional(),
})

const gatewayAuth = z.enum(['key', 'oauth', 'both', 'none'])

/** One word, or the list of what is taken; kept and shown as the word. */
const gatewayAuthAsWritten = z
  .union([
    gatewayAuth,
    z.array(z.enum(['key', 'oauth'])).refine(({ length }) => length > 0 && length <= 2, 'list "key", "oauth" or both'),
  ])
  .transform((written) => {
    if (typeof written === 'string') return written
    const [first = 'key', ...others] = new Set(written)
    return others.length > 0 ? 'both' : first
  })
  .pipe(gatewayAuth)

export const gatewayConfig = z.strictObject({
  slug,
  title: z.string().max(200).optional(),
  description: z.string().max(4096).optional(),
  instructions: z.string().max(16_384).optional(),
  /** How callers prove who they are: an API key, a sign-in (OAuth), either, or not at all. */
  auth: gatewayAuthAsWritten.prefault('both'),
  /** Whether everybody it admits may use all it shows, or only what is granted; unset: all, until it is granted once. */
  access: z.enum(['all', 'grants']).optional(),
  tools: z.array(pattern).max(1_000).default([]),
  /** Resources and prompts come from the servers named here; unset: from every server picked whole (`server/*`) in `tools`. */
  resources: z.array(pattern).max(1_000).optional(),
  prompts: z.array(pattern).max(1_000).optional(),
  overrides: z.array(override).max(1_000).default([]),
  rate_limits: z.array(rateLimit).max(20).default([]),
  /** Calls of these tools need a person's approval; `destructive`: of all that do not say that they destroy nothing. */
  approve: z
    .array(z.union([z.literal('destructive'), pattern]))
    .max(100)
    .default([]),
  /** Access tokens need a further scope for these tools; clients ask for it when they are told so. */
  step_up: z.array(stepUp).max(20).default([]),
})
export type GatewayConfig = z.output<typeof gatewayConfig>
export type GatewayConfigInput = z.input<typeof gatewayConfig>
