import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { createCallMeter } from './call-meter.ts'
import { createHookMeter, type HookAsked } from './hook-meter.ts'
import { createPolicyMeter, type PolicyMeter } from './policy-meter.ts'

/**
 * `ok`: answered. `error`: answered with a tool or protocol error. `denied`: refused by us. `failed`: no answer.
 * `cancelled`: the caller went away. `shed`: too much at once.
 */
export type CallOutcomeLabel = 'ok' | 'error' | 'denied' | 'failed' | 'cancelled' | 'shed'
/** `waiting`: a device whose person has not answered yet. */
export type TokenOutcome = 'issued' | 'refused' | 'waiting'
export type UpstreamState = 'healthy' | 'degraded' | 'unreachable' | 'needs-consent'
export type WatchedGauge =
  | 'client-sessions'
  | 'upstream-sessions'
  | 'parked-calls'
  | 'processes'
  | 'subscriptions'
  | 'approvals-waiting'
  | 'approvals-pending'
  | 'audit-queue'
  | 'audit-unforwarded'
  | 'keys-ending-soon'

/** The house's numbers. The number of series is bounded: tools and users are never labels, names beyond a cap count as `other`. */
export type Metrics = {
  /** One finished call. On the hot path: costs well under two microseconds. */
  call(call: { gateway: string; server: string; outcome: CallOutcomeLabel; seconds: number }): void
  upstreamState(server: string, state: UpstreamState): void
  /** A content rule found something: which rule, what it does, how often. */
  contentRule(found: { rule: string; effect: string; found: number }): void
  /** A hook was asked, or should have been: which, when, what came of it, and how long it took with all tries. */
  hook(asked: HookAsked): void
  readonly policy: PolicyMeter
  /** Something became of an approval. */
  approval(outcome: 'requested' | 'approved' | 'denied' | 'expired'): void
  /** One attempt to prove who somebody is. */
  signIn(factor: string, outcome: 'right' | 'wrong' | 'locked'): void
  /** One request for tokens, by what the client brought (one of a few words). */
  tokenRequest(grant: string, outcome: TokenOutcome): void
  /** One client that wanted to register itself. */
  registration(outcome: 'made' | 'refused' | 'too-many'): void
  /** One request of an identity provider. */
  scim(operation: string, status: number): void
  /** Something of a client's that is good once came a second time, and its grant was ended. */
  tokenReused(reused: 'refresh token' | 'authorization code' | 'device code'): void
  /** Removes a server that is no longer configured. */
  forgetServer(server: string): void
  /** One group commit of audit records. */
  auditCommit(commit: { rows: number; seconds: number }): void
  /** Audit records that left: sent to a collector, or removed because they are old. */
  auditMoved(how: 'forwarded' | 'removed', records: number): void
  /** Reads a number whenever someone looks; several readers of one gauge are added up. The returned function ends it. */
  watch(gauge: WatchedGauge, read: () => number): () => void
  /** The same for circuits: what of this kind is given a rest now. */
  watchCircuits(kind: 'server' | 'hook', read: () => readonly Circuit[]): void
  /** The text exposition format for `/metrics`. */
  render(): Promise<string>
  readonly contentType: string
}

const MAX_NAMES = 500

/** Makes the metrics of one house, with a registry of its own. */
export function createMetrics(options: { maxNames?: number } = {}): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const maxNames = options.maxNames ?? MAX_NAMES
  const states = createStateGauge(registry, maxNames)
  return {
    call: createCallMeter(registry, maxNames),
    upstreamState: states.set,
    forgetServer: states.forget,
    contentRule: createContentMeter(registry, maxNames),
    hook: createHookMeter(registry, maxNames),
    policy: createPolicyMeter(registry),
    approval: createApprovalMeter(registry),
    signIn: createSignInMeter(registry),
    tokenRequest: createTokenMeter(registry),
    registration: createRegistrationMeter(registry),
    scim: createScimMeter(registry),
    tokenReused: createReuseMeter(registry),
    auditCommit: createAuditMeter(registry),
    auditMoved: createMovedMeter(registry),
    watch: createWatchedGauges(registry),
    watchCircuits: createCircuitGauge(registry, maxNames),
    render: () => registry.metrics(),
    contentType: registry.contentType,
  }
}

/** Something that is given a rest when it fails repeatedly. */
export type Circuit = { readonly name: string; readonly isOpen: boolean }

const STATES = ['healthy', 'degraded', 'unreachable', 'needs-consent'] as const satisfies readonly UpstreamState[]

function createStateGauge(registry: Registry, maxServers: number) {
  const servers = new Set<string>()
  const gauge = new Gauge({
    name: 'gatehouse_upstream_state',
    help: '1 for the state that a server is in.',
    labelNames: ['server', 'state'],
    registers: [registry],
  })
  return {
    set: (server: string, state: UpstreamState) => {
      if (!servers.has(server) && servers.size >= maxServers) return
      servers.add(server)
      for (const each of STATES) gauge.set({ server, state: each }, each === state ? 1 : 0)
    },
    forget: (server: string) => {
      servers.delete(server)
      for (const state of STATES) gauge.remove({ server, state })
    },
  }
}

function createAuditMeter(registry: Registry): Metrics['auditCommit'] {
  const rows = new Counter({
    name: 'gatehouse_audit_records_total',
    help: 'Audit records made durable.',
    registers: [registry],
  })
  const seconds = new Histogram({
    name: 'gatehouse_audit_commit_seconds',
    help: 'Time of one group commit of audit records.',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5],
    registers: [registry],
  })
  return (commit) => {
    rows.inc(commit.rows)
    seconds.observe(commit.seconds)
  }
}

function createContentMeter(registry: Registry, maxRules: number): Metrics['contentRule'] {
  const rules = new Set<string>()
  const findings = new Counter({
    name: 'gatehouse_content_findings_total',
    help: 'What content rules found, by rule and effect.',
    labelNames: ['rule', 'effect'],
    registers: [registry],
  })
  return ({ rule, effect, found }) => {
    if (rules.size < maxRules) rules.add(rule)
    findings.inc({ rule: rules.has(rule) ? rule : 'other', effect }, found)
  }
}

function createApprovalMeter(registry: Registry): Metrics['approval'] {
  const approvals = new Counter({
    name: 'gatehouse_approvals_total',
    help: 'Approvals, by what became of them.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  return (outcome) => approvals.inc({ outcome })
}

function createSignInMeter(registry: Registry): Metrics['signIn'] {
  const attempts = new Counter({
    name: 'gatehouse_sign_in_attempts_total',
    help: 'Attempts to prove who somebody is, by factor and outcome.',
    labelNames: ['factor', 'outcome'],
    registers: [registry],
  })
  return (factor, outcome) => attempts.inc({ factor, outcome })
}

function createTokenMeter(registry: Registry): Metrics['tokenRequest'] {
  const requests = new Counter({
    name: 'gatehouse_oauth_token_requests_total',
    help: 'Requests for tokens, by what the client brought and how they ended.',
    labelNames: ['grant', 'outcome'],
    registers: [registry],
  })
  return (grant, outcome) => requests.inc({ grant, outcome })
}

function createRegistrationMeter(registry: Registry): Metrics['registration'] {
  const registrations = new Counter({
    name: 'gatehouse_oauth_registrations_total',
    help: 'OAuth clients that wanted to register themselves, by what came of it.',
    labelNames: ['outcome'],
    registers: [registry],
  })
  return (outcome) => registrations.inc({ outcome })
}

function createScimMeter(registry: Registry): Metrics['scim'] {
  const requests = new Counter({
    name: 'gatehouse_scim_requests_total',
    help: 'Requests of identity providers, by operation and status.',
    labelNames: ['operation', 'status'],
    registers: [registry],
  })
  return (operation, status) => requests.inc({ operation, status: String(status) })
}

function createReuseMeter(registry: Registry): Metrics['tokenReused'] {
  const reuses = new Counter({
    name: 'gatehouse_oauth_token_reuses_total',
    help: 'Grants that were ended because a code or a refresh token of theirs came a second time.',
    labelNames: ['reused'],
    registers: [registry],
  })
  return (reused) => reuses.inc({ reused })
}

function createMovedMeter(registry: Registry): Metrics['auditMoved'] {
  const counters = {
    forwarded: new Counter({
      name: 'gatehouse_audit_forwarded_total',
      help: 'Audit records that the collector has taken.',
      registers: [registry],
    }),
    removed: new Counter({
      name: 'gatehouse_audit_removed_total',
      help: 'Audit records that retention has removed.',
      registers: [registry],
    }),
  }
  return (how, records) => counters[how].inc(records)
}

const WATCHED: Readonly<Record<WatchedGauge, { name: string; help: string }>> = {
  'client-sessions': { name: 'gatehouse_client_sessions', help: 'Sessions that clients hold with us.' },
  'upstream-sessions': { name: 'gatehouse_upstream_sessions', help: 'Sessions that we hold with servers.' },
  'parked-calls': { name: 'gatehouse_parked_calls', help: 'Calls that wait for an answer of their user.' },
  processes: { name: 'gatehouse_processes', help: 'Child processes of stdio servers.' },
  subscriptions: { name: 'gatehouse_subscriptions', help: 'Resources that are followed.' },
  'approvals-waiting': { name: 'gatehouse_approvals_waiting_calls', help: 'Calls that wait here for an approval.' },
  'approvals-pending': { name: 'gatehouse_approvals_pending', help: 'Approvals that nobody has answered yet.' },
  'audit-queue': { name: 'gatehouse_audit_queue', help: 'Audit records that wait to be made durable.' },
  'keys-ending-soon': { name: 'gatehouse_keys_ending_soon', help: 'API keys that end within thirty days.' },
  'audit-unforwarded': { name: 'gatehouse_audit_unforwarded', help: 'Audit records that wait for the collector.' },
}

function createCircuitGauge(registry: Registry, maxNames: number): Metrics['watchCircuits'] {
  const readers: { kind: string; read: () => readonly Circuit[] }[] = []
  const gauge = new Gauge({
    name: 'gatehouse_circuit_open',
    help: '1 while a server or a hook is given a rest, because it failed repeatedly.',
    labelNames: ['kind', 'name'],
    registers: [registry],
    collect() {
      gauge.reset()
      for (const { kind, read } of readers)
        for (const { name, isOpen } of read().slice(0, maxNames)) gauge.set({ kind, name }, isOpen ? 1 : 0)
    },
  })
  return (kind, read) => void readers.push({ kind, read })
}

function createWatchedGauges(registry: Registry): Metrics['watch'] {
  const readers = Object.entries(WATCHED).map(([gauge, { name, help }]) => {
    const reads = new Set<{ read: () => number }>()
    const registered = new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set([...reads].reduce((sum, { read }) => sum + read(), 0))
      },
    })
    return [gauge, { reads, registered }] as const
  })
  const byName = new Map<string, { reads: Set<{ read: () => number }> }>(readers)
  return (gauge, read) => {
    const reader = { read }
    byName.get(gauge)?.reads.add(reader)
    return () => void byName.get(gauge)?.reads.delete(reader)
  }
}
