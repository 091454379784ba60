const QUIET_MS = 100

/** Calls once for a burst, a moment after its last. */
export function debounced(tell: () => void): { call(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  return {
    call() {
      if (isStopped) return
      clearTimeout(timer)
      timer = setTimeout(tell, QUIET_MS).unref()
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
