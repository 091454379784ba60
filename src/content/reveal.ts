import { isJsonObject, type Json, type JsonObject } from '#kernel'
import type { RuleSet } from './rule-set.ts'
import type { Subject } from './scope.ts'
import { TOKEN, type Tokens } from './token.ts'

const MAX_DEPTH = 200

/** What a caller sends, with the values in the place of their own tokens, where the rule that made them allows it. */
export function revealTokens(
  value: JsonObject,
  opening: { rules: RuleSet; tokens: Tokens; subject: Subject },
): JsonObject {
  const { rules, tokens, subject } = opening
  const open = (token: string): Json => {
    const found = tokens.open(subject.user.userId, token)
    return found !== null && rules.mayReveal(found.rule, subject) ? found.value : token
  }
  const revealed = revealIn(value, open, 0)
  return isJsonObject(revealed) ? revealed : value
}

function revealIn(value: Json, open: (token: string) => Json, depth: number): Json {
  if (typeof value === 'string') return revealText(value, open)
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return value
  if (!isJsonObject(value)) {
    const items = value.map((item) => revealIn(item, open, depth + 1))
    return items.some((item, index) => item !== value[index]) ? items : value
  }
  let isChanged = false
  const members = Object.entries(value).map(([key, member]) => {
    const revealed = member === undefined ? member : revealIn(member, open, depth + 1)
    isChanged ||= revealed !== member
    return [key, revealed] as const
  })
  return isChanged ? Object.fromEntries(members) : value
}

/** A text that is a token becomes the value itself, a number too; inside of a text it becomes text. */
function revealText(text: string, open: (token: string) => Json): Json {
  if (!text.includes('tok_')) return text
  const [only] = text.match(TOKEN) ?? []
  if (only === text) return open(text)
  return text.replaceAll(TOKEN, (token) => {
    const value = open(token)
    return typeof value === 'string' ? value : JSON.stringify(value)
  })
}
