/** What many tests of a whole house begin with: a house that ends with its test, and those who come to it. */
import { onTestFinished } from 'vitest'
import { startHouse, type TestHouse } from './start-house.ts'
import { gatewayUrl, type Line } from './talk.ts'

/** The admin, for what a test does through the rooms themselves. */
export const ADMIN = { userId: 'admin', keyId: null, face: 'cli' } as const

/** The built-in reference server (`echo`, `add`, `whoami`, …) behind a gateway "demo". */
export const REFERENCE = `
  [[servers]]
  name = "reference"
  transport = "builtin"

  [[gateways]]
  slug = "demo"
  tools = ["reference/*"]
`

/** Starts a house that ends with the test, and resolves when it has listed its servers. */
export async function openHouse(options: Parameters<typeof startHouse>[0]): Promise<TestHouse> {
  const house = await startHouse(options)
  onTestFinished(() => house.close())
  await house.listed()
  return house
}

/** A user's way to a gateway: its address, and a key of theirs. */
export async function lineOf(house: TestHouse, user: string, gateway = 'demo'): Promise<Line & { key: string }> {
  return { url: gatewayUrl(house, gateway), key: await house.createKey({ user, gateway }) }
}
