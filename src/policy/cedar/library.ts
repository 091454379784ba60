/**
 * Cedar, loaded here and nowhere else. It is WebAssembly with a small stack of its own: text that is nested too deep
 * runs over its end, and what trapped once answers nothing any more. So an instance that trapped is replaced, and what
 * people write is read in another instance than the one that decides.
 */
import { createRequire } from 'node:module'

export type Cedar = typeof import('@cedar-policy/cedar-wasm/nodejs')

const require = createRequire(import.meta.url)
const FILE = require.resolve('@cedar-policy/cedar-wasm/nodejs')

export class CedarInstance {
  readonly #onTrap: () => void
  #cedar: Cedar | undefined

  /** `onTrap`: whatever was kept in the instance is gone. */
  constructor(onTrap: () => void = () => {}) {
    this.#onTrap = onTrap
  }

  /** What Cedar says. Throws `CedarTrapped` where it could not bear the question. */
  ask<T>(question: (cedar: Cedar) => T): T {
    try {
      return question((this.#cedar ??= load()))
    } catch (cause) {
      if (!(cause instanceof WebAssembly.RuntimeError) && !(cause instanceof RangeError)) throw cause
      this.#cedar = undefined
      this.#onTrap()
      throw new CedarTrapped('Cedar ran out of its stack', { cause })
    }
  }
}

export class CedarTrapped extends Error {}

/** The package makes its one instance while it is loaded, so a second one is a second loading. */
function load(): Cedar {
  delete require.cache[FILE]
  const cedar: Cedar = require(FILE)
  return cedar
}
