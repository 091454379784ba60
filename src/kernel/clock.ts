/** The only way to read the time, so that tests can move it. `now()` is milliseconds since 1970. */
export type Clock = { now(): number }

export const systemClock: Clock = { now: () => Date.now() }
