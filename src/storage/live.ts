import type { Log } from '#telemetry'
import type { ChangeBus } from './contract.ts'
import { InStep } from './in-step.ts'

type LiveDeps<Declared, Stored, Current> = {
  readonly storage: { readonly changes: ChangeBus }
  readonly log: Log
  /** What changes of it are announced under. */
  readonly topic: string
  /** What it is, as a log says it: "the login policy". */
  readonly what: string
  /** What the config file says of it. */
  readonly declared: Declared
  /** What counts as stored before anything has been read. */
  readonly empty: Stored
  readonly load: () => Promise<Stored>
  /** Makes of both what is in force. The result never changes: a change makes the next one. */
  readonly build: (declared: Declared, stored: Stored) => Current
}

/**
 * What is in force at this moment, in memory, so that asking for it waits for nothing: made anew, and swapped whole,
 * whenever any replica changes what is stored or the config file says something else.
 */
export class Live<Declared, Stored, Current> {
  readonly #deps: LiveDeps<Declared, Stored, Current>
  readonly #inStep: InStep
  readonly #listeners = new Set<() => void>()
  #declared: Declared
  #stored: Stored
  #current: Current

  private constructor(deps: LiveDeps<Declared, Stored, Current>) {
    this.#deps = deps
    this.#declared = deps.declared
    this.#stored = deps.empty
    this.#current = deps.build(this.#declared, this.#stored)
    const { log, topic, what } = deps
    const { changes } = deps.storage
    this.#inStep = new InStep({ changes, log, topic, what, read: () => this.#load() })
  }

  /** Rejects when it cannot be read. */
  static async open<D, S, C>(deps: LiveDeps<D, S, C>): Promise<Live<D, S, C>> {
    const live = new Live(deps)
    await live.#inStep.reload()
    return live
  }

  get current(): Current {
    return this.#current
  }

  get declared(): Declared {
    return this.#declared
  }

  /** Takes over a changed config file, at once. */
  declare(declared: Declared): void {
    this.#declared = declared
    this.#swap()
  }

  /** Tells every replica of a change that is stored, this one first. If the store fails now, goes on trying. */
  announce(payload?: string): Promise<void> {
    return this.#inStep.announce(payload)
  }

  /** Tells when something else is in force than before. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): Promise<void> {
    return this.#inStep.close()
  }

  async #load(): Promise<void> {
    this.#stored = await this.#deps.load()
    this.#swap()
  }

  #swap(): void {
    this.#current = this.#deps.build(this.#declared, this.#stored)
    for (const listener of this.#listeners) listener()
  }
}
