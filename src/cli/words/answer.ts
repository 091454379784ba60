import { isJsonObject, type Json, type JsonObject } from '#kernel'

export type Answer = { readonly ok: true; readonly value: Json } | { readonly ok: false; readonly expected: string }

/** What a person typed, as the value that the field of a form (MCP elicitation) wants. */
export function readAnswer(property: JsonObject, said: string): Answer {
  const choices = choicesOf(property)
  if (property['type'] === 'array') return readSome(choicesOf(asObject(property['items'])), said)
  if (choices.length > 0) return readChoice(choices, said)
  const { type } = property
  if (type === 'boolean') return readBoolean(said)
  if (type === 'integer' || type === 'number') return readNumber(type, said)
  return readText(property, said)
}

function choicesOf(property: JsonObject): string[] {
  const { enum: listed, oneOf, anyOf } = property
  const titled = Array.isArray(oneOf) ? oneOf : Array.isArray(anyOf) ? anyOf : []
  const consts = titled.map((choice: Json) => asObject(choice)['const'])
  return [...(Array.isArray(listed) ? listed : []), ...consts].filter((choice) => typeof choice === 'string')
}

function asObject(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {}
}

function readChoice(choices: readonly string[], said: string): Answer {
  if (choices.includes(said)) return { ok: true, value: said }
  return { ok: false, expected: `one of: ${choices.join(', ')}` }
}

function readSome(choices: readonly string[], said: string): Answer {
  const words = said.split(',').map((word) => word.trim())
  const unknown = words.find((word) => choices.length > 0 && !choices.includes(word))
  if (unknown === undefined) return { ok: true, value: words }
  return { ok: false, expected: `some of: ${choices.join(', ')}, with commas between` }
}

function readBoolean(said: string): Answer {
  if (/^(y|yes|true)$/i.test(said)) return { ok: true, value: true }
  if (/^(n|no|false)$/i.test(said)) return { ok: true, value: false }
  return { ok: false, expected: 'yes or no' }
}

function readNumber(type: 'integer' | 'number', said: string): Answer {
  const isWhole = type === 'integer'
  const value = said === '' ? Number.NaN : Number(said)
  const fits = isWhole ? Number.isSafeInteger(value) : Number.isFinite(value)
  return fits ? { ok: true, value } : { ok: false, expected: isWhole ? 'a whole number' : 'a number' }
}

function readText(property: JsonObject, said: string): Answer {
  const { minLength, maxLength } = property
  if (typeof minLength === 'number' && said.length < minLength)
    return { ok: false, expected: `at least ${minLength} characters` }
  if (typeof maxLength === 'number' && said.length > maxLength)
    return { ok: false, expected: `at most ${maxLength} characters` }
  return { ok: true, value: said }
}
