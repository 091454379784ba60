import { Problem } from '#kernel'
import type { Principal } from '#identity'
import type { Thing } from '#policy'
import type { GatewayConfig } from '../config.ts'
import { compilePick, type Pick as Picks } from './patterns.ts'
import { SCOPE_NEEDED } from '../problems.ts'

/** A scope that calls of some tools need, beside the one that opens the gateway. */
export type StepUp = { readonly scope: string; readonly picks: Picks }

export function compileStepUp(rules: GatewayConfig['step_up']): readonly StepUp[] {
  return rules.map(({ scope, tools }) => ({ scope, picks: compilePick(tools) }))
}

/**
 * The refusal of an access token that lacks a scope which one of these tools needs. It names all scopes that the next
 * one has to have: those it has and those it lacks. API keys have no scopes; what they may call is the policy's matter.
 */
export function lackOfScopes(
  rules: readonly StepUp[],
  { scopes }: Principal,
  things: readonly Thing[],
): Problem | null {
  if (rules.length === 0 || scopes === null) return null
  const lacking = new Set(things.flatMap((thing) => scopesOf(rules, thing)).filter((scope) => !scopes.includes(scope)))
  if (lacking.size === 0) return null
  const [thing] = things
  const detail = `"${thing?.name ?? ''}" needs the scope "${[...lacking].join(' ')}", which this access token lacks.`
  return new Problem(SCOPE_NEEDED, `${detail} Let the client ask for it.`, { scope: [...scopes, ...lacking].join(' ') })
}

function scopesOf(rules: readonly StepUp[], { kind, server, tags, name }: Thing): string[] {
  if (kind !== 'tool') return []
  return rules.filter(({ picks }) => picks.matches({ name: server, tags }, name)).map(({ scope }) => scope)
}
