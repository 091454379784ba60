import { Session } from 'node:inspector/promises'

const session = new Session()

/** Samples the main thread from now on. */
export async function startProfile(): Promise<void> {
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: 200 })
  await session.post('Profiler.start')
}

/** Ends it; gives Chrome's profile, as DevTools reads it. */
export async function stopProfile(): Promise<unknown> {
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  return profile
}
