import * as z from 'zod'
import { isJsonObject, wildcard, type Json, type JsonObject } from '#kernel'
import { isSecretName } from '#telemetry'
import { pattern } from '../config.ts'
import { compilePick } from '../views/patterns.ts'
import type { Attempt, Target } from './attempt.ts'
import type { Ending } from './ending.ts'

/** One `[[audit.payloads]]`: of which calls the arguments and results are kept. The first rule that fits decides. */
export const payloadRule = z.strictObject({
  gateways: z.array(z.string().min(1).max(63)).max(100).default(['*']),
  tools: z.array(pattern).max(100).default(['*']),
  /** Account ids; `*` stands for any run of characters. */
  users: z.array(z.string().min(1).max(256)).max(100).default(['*']),
  /** `redacted`: without values whose names say that they are secret. `sampled`: redacted, of some calls. */
  record: z.enum(['none', 'redacted', 'full', 'sampled']),
  /** The share of calls that `sampled` keeps. */
  rate: z.number().min(0).max(1).default(0.01),
  /** Whatever is longer is left out, and its length is kept. */
  max_bytes: z.int().min(256).max(1_048_576).default(65_536),
})
export type PayloadRule = z.output<typeof payloadRule>

/** What is to be kept of a call, or nothing. */
export type PayloadKeeper = (attempt: Attempt, ending: Ending) => JsonObject | undefined

/**
 * Makes the keeper of these rules. It keeps what has passed the content rules: what one of them stopped or took out is in
 * no payload, also of a rule that says `full`.
 */
export function createPayloadKeeper(rules: readonly PayloadRule[]): PayloadKeeper {
  const compiled = rules.map(compile)
  if (compiled.length === 0) return () => undefined
  return (attempt, ending) => {
    const { target } = attempt
    const found = target && compiled.find((each) => each.fits(attempt, target))
    if (!found || !isWanted(found.rule)) return undefined
    return keep(found.rule, attempt, ending)
  }
}

type CompiledRule = { readonly rule: PayloadRule; fits(attempt: Attempt, target: Target): boolean }

function compile(rule: PayloadRule): CompiledRule {
  const tools = compilePick(rule.tools)
  const gateways = rule.gateways.map(wildcard)
  const users = rule.users.map(wildcard)
  return {
    rule,
    fits: ({ request: { admission } }, { server, original }) =>
      gateways.some((fits) => fits(admission.gateway)) &&
      users.some((fits) => fits(admission.userId)) &&
      tools.matches(server.config, original),
  }
}

function isWanted({ record, rate }: PayloadRule): boolean {
  switch (record) {
    case 'none':
      return false
    case 'redacted':
    case 'full':
      return true
    case 'sampled':
      return Math.random() < rate
  }
}

function keep(rule: PayloadRule, { passed, namedAs }: Attempt, { outcome }: Ending): JsonObject {
  const shown = (value: Json): Json => (rule.record === 'full' ? value : blankSecrets(value))
  // The refusal quotes what the caller named.
  if (namedAs !== null) return { arguments: null, result: { error: BLANK } }
  return {
    arguments: passed === null ? null : bounded(passed, rule.max_bytes, shown),
    result: boundedOutcome(outcome, rule.max_bytes, shown),
  }
}

function boundedOutcome(outcome: Ending['outcome'], maxBytes: number, shown: (value: Json) => Json): Json {
  switch (outcome.kind) {
    case 'complete': {
      const bytes = outcome.result.bytes().length
      return bytes > maxBytes ? leftOut(bytes) : shown(outcome.result.value())
    }
    case 'error':
      // What came over the wire, or was made here, is JSON; its type does not say so.
      return bounded({ error: JSON.parse(JSON.stringify(outcome.error)) as Json }, maxBytes, shown)
    case 'task':
      return bounded({ task: outcome.task }, maxBytes, shown)
    case 'input':
      return { asked: Object.keys(outcome.requests) }
  }
}

function bounded(value: JsonObject, maxBytes: number, shown: (value: Json) => Json): Json {
  const bytes = Buffer.byteLength(JSON.stringify(value))
  return bytes > maxBytes ? leftOut(bytes) : shown(value)
}

const leftOut = (bytes: number) => ({ leftOut: `${bytes} bytes` })

const BLANK = '[redacted]'
const MAX_DEPTH = 64

/** The same without values whose names say that they are secret, also inside texts that are JSON themselves. */
export function blankSecrets(value: Json, depth = 0): Json {
  if (depth > MAX_DEPTH) return BLANK
  if (typeof value === 'string') return blankInText(value, depth)
  if (Array.isArray(value)) return value.map((item) => blankSecrets(item, depth + 1))
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      const hidesSomething = member !== null && member !== undefined && typeof member !== 'boolean'
      if (isSecretName(name) && hidesSomething) return [name, BLANK]
      return [name, member === undefined ? null : blankSecrets(member, depth + 1)]
    }),
  )
}

function blankInText(text: string, depth: number): string {
  const inner = /^\s*[[{]/.test(text) ? parsed(text) : undefined
  if (inner !== undefined) return JSON.stringify(blankSecrets(inner, depth + 1))
  return text.replaceAll(/\b(bearer|basic)\s+[\w.~+/=-]{6,}/gi, `$1 ${BLANK}`)
}

function parsed(text: string): Json | undefined {
  try {
    // JSON.parse makes nothing but JSON.
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}
