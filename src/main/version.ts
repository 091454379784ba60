import { readFileSync } from 'node:fs'
import { isJsonObject } from '#kernel'

const packageJson: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
const version = isJsonObject(packageJson) ? packageJson['version'] : undefined

/** What the house calls itself towards servers and clients. */
export const HOUSE = { name: 'gatehouse', version: typeof version === 'string' ? version : '0.0.0' } as const
