import type { Expr, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { isJsonObject, type Json } from '#kernel'

/**
 * Cedar reads `a || b || c` as a tree that leans to the left, one level a term, and takes no tree of more than some
 * sixty levels. Here such chains become trees that lean to neither side. The terms stay in their order, and `||` and
 * `&&` look at them from left to right and stop as before, so the policy means the same.
 */
export function balancePolicy(policy: PolicyJson): PolicyJson {
  const { conditions } = policy
  return { ...policy, conditions: conditions.map(({ kind, body }) => ({ kind, body: asExpr(balance(asJson(body))) })) }
}

type Chain = '||' | '&&'

/** One expression of all the terms, as flat as can be; there is at least one. */
export function join(chain: Chain, terms: readonly Expr[]): Expr {
  return asExpr(joinJson(chain, terms.map(asJson)))
}

function joinJson(chain: Chain, terms: readonly Json[]): Json {
  const [only = null] = terms
  if (terms.length <= 1) return only
  const half = Math.ceil(terms.length / 2)
  return { [chain]: { left: joinJson(chain, terms.slice(0, half)), right: joinJson(chain, terms.slice(half)) } }
}

function balance(node: Json): Json {
  if (Array.isArray(node)) return node.map((item: Json) => balance(item))
  if (!isJsonObject(node) || node['Value'] !== undefined) return node
  for (const chain of ['||', '&&'] as const)
    if (sidesOf(node, chain) !== null) return joinJson(chain, jsonTermsOf(node, chain).map(balance))
  return Object.fromEntries(Object.entries(node).map(([name, value]) => [name, balance(value ?? null)]))
}

/** The terms of a chain from left to right, however deep it leans; whatever is no such chain is one term. */
export function termsOf(chain: Chain, expr: Expr): Expr[] {
  return jsonTermsOf(asJson(expr), chain).map(asExpr)
}

function jsonTermsOf(node: Json, chain: Chain): Json[] {
  const terms: Json[] = []
  const open: Json[] = [node]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const sides = sidesOf(next, chain)
    if (sides === null) terms.push(next)
    else open.push(sides.right, sides.left)
  }
  return terms
}

/** A record may have a member that is called `||`; that has no sides. */
function sidesOf(node: Json, chain: Chain): { left: Json; right: Json } | null {
  const sides: Json | undefined = isJsonObject(node) ? node[chain] : undefined
  if (!isJsonObject(sides)) return null
  const { left, right } = sides
  return left === undefined || right === undefined ? null : { left, right }
}

/** A tree of Cedar's is JSON; its types only say it in another way. */
const asJson = (expr: Expr): Json => expr as unknown as Json
const asExpr = (json: Json): Expr => json as unknown as Expr
