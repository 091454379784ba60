/**
 * The authorization server: how a program gets to act for a person (OAuth 2.1, OpenID Connect), on `oidc-provider`
 * behind a thin port.
 *
 * `provider/`: the library is told what this house is (`provider.ts`), and keeps its records by an adapter of ours,
 * sealed (`sealed.ts`), that lets a code be used once. `endpoints/`: the steps of the house around the library's
 * endpoints, in the order of `house-rules.ts`. `house-grants/`: the grants that the library does not have, for what a
 * client already has of a person, here and at other authorization servers (RFC 8693, RFC 7523), and for itself.
 * `clients/`: which clients there are, whoever registered them, and those that admins make. `signing-keys/`: what
 * signs all of that, and how one key follows another.
 *
 * `server.ts` is the port to the pages on which people answer (`#signin`); `verifier.ts` decides, without waiting,
 * whom an access token is used for. `resources.ts`: each gateway is a resource of its own, and a token for one is
 * refused at another. `identity-token.ts` signs who calls, for the servers behind.
 *
 * Which traps of the library are closed where: `docs/decisions/0005-a-certified-library-behind-a-port.md`.
 */
export { createOauth, type Oauth } from './service.ts'
export { KeyRing } from './signing-keys/ring.ts'
export { signingKeysContract } from './signing-keys/contract.ts'
export { signingKeysRoutes } from './signing-keys/routes.ts'
export { clientsContract } from './clients/contract.ts'
export { clientsRoutes } from './clients/routes.ts'
export { createIdentitySigner } from './identity-token.ts'
export { OAUTH_MIGRATIONS } from './migrations.ts'
export type { AuthServer } from './server.ts'
