import packageJson from '../../package.json' with { type: 'json' }

/** What the house calls itself towards servers and clients. */
export const HOUSE = { name: 'gatehouse', version: packageJson.version } as const
