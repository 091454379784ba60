/**
 * Who is calling. For now by API keys: `gh_…`, shown once, stored as a hash, bound to gateways and perhaps to one user.
 *
 * `identity.keyring()` is all keys at this moment, in memory and unchangeable; `authenticate` on it decides without
 * waiting (`keyring.ts`). Making or revoking a key (`service.ts`) is recorded first, then stored, and builds the next
 * keyring on every replica (`live-keyring.ts`). `admin-token.ts` is how the command line on the same machine proves
 * itself. Accounts, log-in and OAuth will live beside the keys; `userId` is the string that they will explain.
 */
export { createIdentity, type Identity } from './service.ts'
export type { Authentication } from './keyring.ts'
export type { ApiKey } from './schema.ts'
export { ensureAdminToken, type AdminToken } from './admin-token.ts'
export type { Member, Principal, Role } from './principal.ts'
export { isUserId } from './user-id.ts'
export { IDENTITY_MIGRATIONS } from './migrations.ts'
export { BAD_KEY_REQUEST, BAD_USER, NO_SUCH_KEY } from './problems.ts'
export { identityContract } from './contract.ts'
export { authorizeApi, identityRoutes } from './routes.ts'
