const PAUSE_MS = { least: 100, first: 1_000, longest: 60_000 }

/** Before a stream is opened again: what the server wishes, longer after each failure, and never a hot loop. */
export function pauseFor(retryMs: number | undefined, failures: number): number {
  const first = Math.max(PAUSE_MS.least, retryMs ?? PAUSE_MS.first)
  return Math.min(PAUSE_MS.longest, first * 2 ** failures)
}
