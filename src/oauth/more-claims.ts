import { isJsonObject, type JsonObject } from '#kernel'

/** Under it, a token of a grant of ours keeps what it says besides what the library puts into it. */
const MORE_CLAIMS = Symbol('more claims')

/** Lets a token say this too, once it is saved. */
export function sayMore(token: object, more: JsonObject): void {
  Object.defineProperty(token, MORE_CLAIMS, { value: more })
}

export function moreOf(token: object): JsonObject {
  const more: unknown = Reflect.get(token, MORE_CLAIMS)
  return isJsonObject(more) ? more : {}
}
