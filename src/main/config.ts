import { isIPv4 } from 'node:net'
import { resolve } from 'node:path'
import * as z from 'zod'
import { approvalsConfig } from '#approvals'
import { loadConfig, type HostPort, hostPort } from '#config'
import { contentRule, type ContentRule } from '#content'
import { isNetwork } from '#http'
import { Problem } from '#kernel'
import { loginPolicyConfig } from '#login'
import { hookConfig, type HookConfig } from '#policy'
import { identitySourceConfig, misfits } from '#signin'
import { gatewayConfig, payloadRule, serverConfig, type GatewayConfig, type ServerConfig } from '#tools'
import { CONFIG_CONTRADICTION } from './problems.ts'

/** The whole of gatehouse.toml: each room's section, put together here and nowhere else. */
const server = z.strictObject({
  listen: hostPort().prefault('127.0.0.1:8600'),
  /** What clients type; defaults to the listening address. */
  public_url: z
    .url({ protocol: /^https?$/ })
    .max(2048)
    .optional(),
  /** Where the other replicas reach this one; defaults to the listening address. */
  peer_url: z
    .url({ protocol: /^https?$/ })
    .max(2048)
    .optional(),
  /** Web origins, besides our own, whose pages may call from a browser. */
  allowed_origins: z.array(z.url().max(256)).max(64).default([]),
  /** Proxies whose `X-Forwarded-For` is believed, as address ranges. */
  trusted_proxies: z
    .array(z.string().max(64).refine(isNetwork, 'write an address range such as 10.0.0.0/8, or one address'))
    .max(64)
    .default([]),
  /** Who may add programs (`transport = "stdio"`): the file alone, also the local admin token, also every admin key. */
  programs_from: z.enum(['file', 'local', 'admin']).default('local'),
  log_level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
})

const storage = z.strictObject({
  url: z.string().max(4096).default('sqlite:./data/gatehouse.db'),
  /** SQLite: `power` waits for the disk at every commit, `process` survives only `kill -9`. */
  durability: z.enum(['power', 'process']).default('power'),
})

const audit = z.strictObject({
  /** When the store is down: refuse calls, or keep their records in a file until it is back. */
  on_store_failure: z.enum(['refuse', 'spool']).default('refuse'),
  /** Older records, and older payloads, are removed; without it they are kept for ever. */
  keep_days: z.int().min(1).max(36_500).optional(),
  keep_payload_days: z.int().min(1).max(36_500).optional(),
  /** A collector of OpenTelemetry logs that gets every record. */
  otlp: z
    .strictObject({
      endpoint: z.url({ protocol: /^https?$/ }).max(2048),
      /** Sent with every request; values may be `${env:…}` or `${file:…}`. */
      headers: z.record(z.string().max(128), z.string().max(8192)).default({}),
    })
    .optional(),
  /** Of which calls the arguments and results are kept, encrypted; the first that fits decides, and none is none. */
  payloads: z.array(payloadRule).max(100).default([]),
})

const oauth = z.strictObject({
  /** Hosts and address ranges inside that documents of OAuth clients may be fetched from. */
  allow_hosts: z.array(z.string().min(1).max(256)).max(64).default([]),
  /** A signing key signs for so long before the next one does. */
  rotate_keys_days: z.int().min(1).max(3_650).default(90),
  /** So long after its last token a client that registered itself is removed. */
  unused_clients_days: z.int().min(1).max(3_650).default(30),
})

const limits = z.strictObject({
  max_request_bytes: z.int().min(1_024).max(1_073_741_824).default(4_194_304),
  /** A request that has not arrived whole by then is cut off; its answer may last as long as it likes. */
  receive_ms: z.int().min(100).max(3_600_000).default(60_000),
  max_request_depth: z.int().min(4).max(1_024).default(64),
  session_idle_ms: z.int().min(1_000).max(86_400_000).default(1_800_000),
  max_sessions: z.int().min(1).max(1_000_000).default(50_000),
  resume_ms: z.int().min(0).max(600_000).default(30_000),
  /** A call that says nothing for so long is answered by an event stream; 0: streams wherever a session allows. */
  stream_after_ms: z.int().min(0).max(600_000).default(5_000),
  /** `tools/list` answers at the latest after this, with what there is. */
  list_deadline_ms: z.int().min(50).max(60_000).default(3_000),
})

const policy = z.strictObject({
  /** Files of Cedar policies; with `*`, and relative to this file. */
  files: z.array(z.string().min(1).max(4096)).max(100).default([]),
})

export const fileSchema = z.strictObject({
  server: server.prefault({}),
  storage: storage.prefault({}),
  audit: audit.prefault({}),
  limits: limits.prefault({}),
  oauth: oauth.prefault({}),
  policy: policy.prefault({}),
  login_policy: loginPolicyConfig.prefault({}),
  identity_sources: z.array(identitySourceConfig).max(20).default([]),
  servers: z.array(serverConfig).max(1_000).default([]),
  gateways: z.array(gatewayConfig).max(1_000).default([]),
  content_rules: z.array(contentRule).max(1_000).default([]),
  hooks: z.array(hookConfig).max(100).default([]),
  approvals: approvalsConfig.prefault({}),
})

export type GatehouseConfig = z.output<typeof fileSchema>

/** What a newcomer gets without a file: the reference server behind a gateway called `default`. */
const NEWCOMER: Pick<z.input<typeof fileSchema>, 'servers' | 'gateways'> = {
  servers: [{ name: 'reference', transport: 'builtin' }],
  gateways: [{ slug: 'default', title: 'Default', tools: ['reference/*'] }],
}

/** Reads and checks the configuration; without a file, the newcomer's. `listen` overrides the file. */
export function readConfig(options: {
  file?: string | undefined
  text?: string | undefined
  listen?: HostPort | undefined
  dataDir: string
  env: NodeJS.ProcessEnv
}): GatehouseConfig {
  const { file, text, env } = options
  const isNewcomer = file === undefined && text === undefined
  const loaded = isNewcomer
    ? { value: fileSchema.parse(NEWCOMER), baseDir: process.cwd() }
    : loadConfig({ schema: fileSchema, file, text, env })
  const { value, baseDir } = loaded
  const config: GatehouseConfig = {
    ...value,
    server: {
      ...value.server,
      listen: options.listen ?? value.server.listen,
      // As browsers write it: without a path, not even "/".
      allowed_origins: value.server.allowed_origins.map((url) => new URL(url).origin),
    },
    policy: { files: value.policy.files.map((file) => resolve(baseDir, file)) },
    storage: {
      ...value.storage,
      url: placeStorage(value.storage.url, { baseDir, dataDir: options.dataDir, isNewcomer }),
    },
  }
  refuseContradictions(config)
  return config
}

/** A relative SQLite path starts at the config file; a newcomer's database lies in the data directory. */
function placeStorage(url: string, place: { baseDir: string; dataDir: string; isNewcomer: boolean }): string {
  if (!url.startsWith('sqlite:')) return url
  if (place.isNewcomer || url === 'sqlite:./data/gatehouse.db')
    return `sqlite:${resolve(place.dataDir, 'gatehouse.db')}`
  return `sqlite:${resolve(place.baseDir, url.slice('sqlite:'.length))}`
}

function refuseContradictions(config: GatehouseConfig): void {
  const open = config.gateways.find(({ auth }) => auth === 'none')
  if (open && !isLoopback(config.server.listen.host)) {
    throw new Problem(
      CONFIG_CONTRADICTION,
      `gateway "${open.slug}" has auth = "none", but the house listens on ${config.server.listen.host}, where others reach it. Set auth = "key", or listen on 127.0.0.1.`,
    )
  }
  refuseTwice(
    'identity source',
    config.identity_sources.map(({ name }) => name),
  )
  refuseTwice(
    'identity source with accept_id_jag, by its issuer,',
    config.identity_sources.filter((source) => source.accept_id_jag).map(({ issuer }) => issuer),
  )
  const [one, other] = misfits(config.identity_sources) ?? []
  if (one !== undefined && other !== undefined)
    throw new Problem(
      CONFIG_CONTRADICTION,
      `The identity sources "${one}" and "${other}" have one issuer, so people linked by one are known by the other. Give both the same subject_claim.`,
    )
  refuseTwice(
    'login rule',
    config.login_policy.rules.map(({ id }) => id),
  )
  refuseTwice(
    'server',
    config.servers.map(({ name }: ServerConfig) => name),
  )
  refuseTwice(
    'gateway',
    config.gateways.map(({ slug }: GatewayConfig) => slug),
  )
  refuseTwice(
    'content rule',
    config.content_rules.map(({ name }: ContentRule) => name),
  )
  refuseTwice(
    'hook',
    config.hooks.map(({ name }: HookConfig) => name),
  )
}

function refuseTwice(what: string, names: readonly string[]): void {
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice === undefined) return
  throw new Problem(CONFIG_CONTRADICTION, `There are two ${what}s named "${twice}"; give each its own name.`)
}

/** True for an address that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}
