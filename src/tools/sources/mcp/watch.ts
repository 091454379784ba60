import { Problem } from '#kernel'
import { CANCELLED, TIMED_OUT } from '../../problems.ts'

/**
 * Watches over one call: `signal` aborts with a Problem when the caller cancels or the server has been silent for too
 * long. The clock stands still between `pause` and `resume`, while the caller is the one who is waited for.
 */
export class CallWatch {
  readonly #server: string
  readonly #silenceMs: number
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout | undefined
  #caller: AbortSignal | undefined

  constructor(watch: { server: string; silenceMs: number }) {
    this.#server = watch.server
    this.#silenceMs = watch.silenceMs
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** A sign of life. */
  touch(): void {
    this.#timer?.refresh()
  }

  resume(caller: AbortSignal): void {
    if (this.#caller === caller && this.#timer !== undefined) return this.touch()
    this.pause()
    this.follow(caller)
    if (!this.signal.aborted) this.#timer = setTimeout(this.#onSilence, this.#silenceMs)
  }

  /** Heeds the caller's cancellation only. */
  follow(caller: AbortSignal): void {
    this.#caller?.removeEventListener('abort', this.#onCancel)
    this.#caller = caller
    caller.addEventListener('abort', this.#onCancel, { once: true })
    if (caller.aborted) this.#onCancel()
  }

  pause(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#caller?.removeEventListener('abort', this.#onCancel)
    this.#caller = undefined
  }

  /** Ends the call from our side. */
  abort(reason: Error): void {
    this.pause()
    this.#controller.abort(reason)
  }

  readonly #onSilence = (): void => {
    const seconds = this.#silenceMs / 1000
    this.abort(new Problem(TIMED_OUT, `server "${this.#server}" gave no sign of life for ${seconds} s (timeout_ms)`))
  }

  readonly #onCancel = (): void => {
    this.abort(new Problem(CANCELLED, `the call to server "${this.#server}" was cancelled`))
  }
}
