import { hash } from 'node:crypto'

/** RFC 8628 §3.2: what a device is told to wait between two questions. */
export const POLL_SECONDS = 5
const MORE_MS = 5_000
/** Timers and networks are not exact. */
const EARLY_MS = 500
const MAX_DEVICES = 10_000

type Poll = { readonly at: number; readonly intervalMs: number }

/**
 * How often each device asks whether somebody has said yes. One that asks too soon is told to slow down, and has to wait
 * five seconds longer from then on (RFC 8628 §3.5). Each replica counts for itself: it spares us work and guards nothing.
 */
export class DevicePace {
  #polls = new Map<string, Poll>()
  #older = new Map<string, Poll>()

  take(deviceCode: string, now: number): 'in-time' | 'too-soon' {
    const id = hash('sha256', deviceCode, 'base64url')
    const last = this.#polls.get(id) ?? this.#older.get(id)
    const isTooSoon = last !== undefined && now - last.at < last.intervalMs - EARLY_MS
    const intervalMs = (last?.intervalMs ?? POLL_SECONDS * 1_000) + (isTooSoon ? MORE_MS : 0)
    if (this.#polls.size >= MAX_DEVICES) [this.#older, this.#polls] = [this.#polls, new Map()]
    this.#polls.set(id, { at: now, intervalMs })
    return isTooSoon ? 'too-soon' : 'in-time'
  }
}
