import type { Json, JsonObject } from '#kernel'
import type { CompiledRule } from './compile.ts'
import type { Elsewhere } from './elsewhere.ts'
import type { LiveRules } from './live-rules.ts'
import { arePlain, isQuiet } from './quiet.ts'
import type { Subject } from './scope.ts'
import { screen, type Message, type Screened } from './screen.ts'
import { sizeOf } from './size.ts'
import type { Tokens } from './token.ts'
import type { Look } from './worker-messages.ts'

/** A result on its way: as bytes until someone needs the value. */
export type Carried = { readonly isParsed: boolean; bytes(): Buffer; value(): JsonObject }

/** Work for the event loop, in units of 10 ns at the worst: at most 30 ms, and for usual texts a tenth of that. */
const MOST_WORK = 3_000_000
/** A schema takes time to be compiled. */
const LONG_SCHEMA = 16_384

type Parts = { readonly live: Pick<LiveRules, 'current'>; readonly tokens: Tokens; readonly elsewhere: Elsewhere }

/** Looks through small messages here and through large ones elsewhere. */
export function createScreening({ live, tokens, elsewhere }: Parts) {
  const makeToken = (userId: string) => (rule: string, value: Json) => tokens.make(userId, { rule, value })
  const send = (rules: readonly CompiledRule[], look: Omit<Look, 'ranks'>): Promise<Screened> =>
    elsewhere.look(live.current.versioned, { ...look, ranks: rules.map(({ rank }) => rank) })
  return {
    screen: (phase: 'input' | 'output', subject: Subject, message: Message): Screened | Promise<Screened> => {
      const rules = live.current.rulesFor(phase, subject)
      if (isOfNoConcern(rules, message.value)) return passes(message.value)
      const { userId } = subject.user
      if (!isTooMuch(rules, message.value, message.schema)) return screen(message, rules, makeToken(userId))
      return send(rules, { ...message, userId }).then((screened) => withOwnValue(message, screened))
    },
    screenResult: (subject: Subject, result: Carried, schema?: JsonObject): Screened | Promise<Screened> => {
      const rules = live.current.rulesFor('output', subject)
      const { userId } = subject.user
      const isLarge = result.isParsed
        ? isTooMuch(rules, result.value(), schema)
        : result.bytes().length > mostCharsFor(rules) || isLongSchema(schema)
      if (!isLarge && isOfNoConcern(rules, result.value())) return passes(result.value())
      if (!isLarge) return screen({ kind: 'result', value: result.value(), schema }, rules, makeToken(userId))
      return send(rules, { kind: 'result', bytes: result.bytes(), schema, userId })
    },
  }
}

function isOfNoConcern(rules: readonly CompiledRule[], value: JsonObject): boolean {
  return arePlain(rules) && isQuiet(rules, value, mostCharsFor(rules))
}

const passes = (value: JsonObject): Screened => ({ outcome: 'passes', by: null, value, applied: NOTHING })
const NOTHING: Screened['applied'] = []

/** Nothing changed, so it is the very same value: a copy would only look like a change. */
function withOwnValue(message: Message, screened: Screened): Screened {
  return screened.outcome === 'passes' ? { ...screened, value: message.value } : screened
}

function isTooMuch(rules: readonly CompiledRule[], value: JsonObject, schema: JsonObject | undefined): boolean {
  const most = mostCharsFor(rules)
  return sizeOf(value, most) > most || isLongSchema(schema)
}

/** How many characters these rules may look through on the event loop. */
export function mostCharsFor(rules: readonly CompiledRule[]): number {
  return MOST_WORK / rules.reduce((sum, { weight }) => sum + weight, 1)
}

const lengths = new WeakMap<JsonObject, number>()

function isLongSchema(schema: JsonObject | undefined): boolean {
  if (schema === undefined) return false
  const length = lengths.get(schema) ?? JSON.stringify(schema).length
  lengths.set(schema, length)
  return length > LONG_SCHEMA
}
