import type { JsonObject } from '#kernel'
import type { CompiledRule } from './compile.ts'
import type { MakeToken } from './replace.ts'
import type { RuleRef } from './schema.ts'
import { annotate } from './annotate.ts'
import { Stopped, walkMessage, type Walk } from './walk.ts'

/** What is screened. `data` of JSON-RPC, in the names of this house. */
export type Message = {
  /**
   * `params`: what a caller sends. `answers`: their answers to questions. `result`, `error`: what comes back.
   * `notification`: progress, logs and others. `questions`: what a server asks the caller.
   */
  readonly kind: 'params' | 'answers' | 'result' | 'error' | 'notification' | 'questions'
  readonly value: JsonObject
  /** JSON Schema of the arguments (`params`) or the structured content (`result`). */
  readonly schema?: JsonObject | undefined
}

/** One rule that found something. */
export type Applied = RuleRef & { readonly effect: CompiledRule['rule']['effect']; readonly found: number }

/** What became of a message. `value` is the very same object when nothing in it changed. Holds nothing that was found. */
export type Screened = {
  readonly outcome: 'passes' | 'changed' | 'blocked' | 'needs-approval' | 'withheld'
  /** The rule that decided, with what it says to the caller; null where nothing was refused. */
  readonly by: (RuleRef & { readonly note: string | null }) | null
  readonly value: JsonObject
  /** In the place of `value`, where bytes were given and something in them changed. */
  readonly bytes?: Uint8Array
  readonly applied: readonly Applied[]
}

/**
 * Looks through a message with these rules, which are in scope and in order. Pure, and linear in the message.
 *
 * Every rule looks at the message as it came. The first rule with `block` that finds something decides and nothing else
 * happens; then the first with `approve`. All other finds are merged: where places overlap they become one, which
 * belongs to the first of the rules. `truncate` then cuts what is left, and `annotate` adds its words.
 */
export function screen(message: Message, rules: readonly CompiledRule[], makeToken: MakeToken): Screened {
  const meant = rules.filter(isMeant(message.kind))
  const firstBlock = meant.find(({ rule }) => rule.effect === 'block')
  const walk: Walk = { rules: meant, firstBlock, kind: message.kind, makeToken, found: new Map(), echoes: new Map() }
  try {
    const value = withoutEchoes(message, walk, walkMessage(walk, message))
    return conclude(message, walk, value)
  } catch (error) {
    if (!(error instanceof Stopped)) throw error
    return { outcome: error.outcome, by: error.rule ? refOf(error.rule) : null, value: {}, applied: appliedOf(walk) }
  }
}

/** A person approves a call, not an answer in the middle of one; notes are for results. */
function isMeant(kind: Message['kind']): (rule: CompiledRule) => boolean {
  return ({ rule: { effect } }) =>
    (effect !== 'approve' || kind === 'params') && (effect !== 'annotate' || kind === 'result')
}

/** A field that was taken away whole is mostly told in words as well: the same words go everywhere. */
function withoutEchoes(message: Message, walk: Walk, value: JsonObject): JsonObject {
  if (walk.echoes.size === 0) return value
  const rules = [...walk.echoes].map(([text, rule]) => ({ ...rule, path: null, finders: [echoFinder(text)] }))
  return walkMessage(
    { ...walk, rules, firstBlock: undefined, found: new Map(), echoes: new Map() },
    { ...message, value },
  )
}

function echoFinder(text: string) {
  return (inside: string) => {
    const spans: (readonly [number, number])[] = []
    for (let at = inside.indexOf(text); at >= 0; at = inside.indexOf(text, at + text.length))
      spans.push([at, at + text.length])
    return spans
  }
}

function conclude(message: Message, walk: Walk, value: JsonObject): Screened {
  const applied = appliedOf(walk)
  const firstWith = (effect: string): CompiledRule | undefined =>
    walk.rules.find((rule) => rule.rule.effect === effect && walk.found.has(rule))
  const blocking = firstWith('block')
  if (blocking) return { outcome: 'blocked', by: refOf(blocking), value: {}, applied }
  const notes = walk.rules.filter((rule) => rule.rule.effect === 'annotate' && walk.found.has(rule))
  const noted = annotate(
    value,
    notes.flatMap(({ rule }) => rule.note ?? []),
  )
  const approving = firstWith('approve')
  if (approving) return { outcome: 'needs-approval', by: refOf(approving), value: noted, applied }
  return { outcome: noted === message.value ? 'passes' : 'changed', by: null, value: noted, applied }
}

function refOf({ ref, rule }: CompiledRule): NonNullable<Screened['by']> {
  return { ...ref, note: rule.note ?? null }
}

function appliedOf({ found }: Walk): Applied[] {
  return [...found].map(([{ ref, rule }, count]) => ({ ...ref, effect: rule.effect, found: count }))
}
