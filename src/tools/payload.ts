import { isJsonObject, type JsonObject } from '#kernel'

/**
 * One JSON-RPC result, kept as the bytes the server sent until someone needs the value.
 * Most results are only carried: a 10 MB one is then never parsed, and unknown fields survive byte for byte.
 */
export class Payload {
  #bytes: Buffer | undefined
  #value: JsonObject | undefined

  private constructor(bytes: Buffer | undefined, value: JsonObject | undefined) {
    this.#bytes = bytes
    this.#value = value
  }

  static ofValue(value: JsonObject): Payload {
    return new Payload(undefined, value)
  }

  /** `bytes` must be one JSON object, already checked to be one by whoever read it from the wire. */
  static ofBytes(bytes: Buffer): Payload {
    return new Payload(bytes, undefined)
  }

  bytes(): Buffer {
    this.#bytes ??= Buffer.from(JSON.stringify(this.#value))
    return this.#bytes
  }

  value(): JsonObject {
    if (this.#value === undefined) {
      const parsed: unknown = JSON.parse((this.#bytes ?? Buffer.from('{}')).toString('utf8'))
      if (!isJsonObject(parsed)) throw new Error('a JSON-RPC result must be an object')
      this.#value = parsed
    }
    return this.#value
  }

  /** True when reading `value()` costs nothing, so a change to it is cheaper than splicing bytes. */
  get isParsed(): boolean {
    return this.#value !== undefined
  }
}
