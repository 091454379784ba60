/**
 * Who is calling: accounts of people and machines, their groups, and API keys (`gh_…`, shown once, stored as a hash,
 * bound to gateways and perhaps to one user).
 *
 * `live-snapshot.ts` keeps all accounts (a `Directory`, in `accounts/`) and all keys (a `Keyring`) of one moment in
 * memory, unchangeable; `authenticate` decides on it without waiting and says for which `Principal` a request is made.
 * Every change is recorded first, then stored, and builds the next snapshot on every replica. An account that is made
 * inactive takes its keys with it; its user id is never given to anyone else. `admin-token.ts` is how the command line
 * on the same machine proves itself. `factors/` holds how people prove who they are: passwords, hashed in a
 * bounded line, authenticator apps, recovery codes and passkeys (`factors/service.ts`).
 */
export { createIdentity, type Identity } from './service.ts'
export type { Authentication } from './keyring.ts'
export type { ApiKey } from './schema.ts'
export { expiresSoon } from './expiry.ts'
export { ensureAdminToken, type AdminToken } from './admin-token.ts'
export type { Directory, Member, Principal, Role } from './principal.ts'
export { isUserId } from './user-id.ts'
export { IDENTITY_MIGRATIONS } from './migrations.ts'
export { ACCOUNT_INACTIVE, BAD_KEY_REQUEST, BAD_USER, NO_SUCH_KEY, USER_ID_TAKEN } from './problems.ts'
export { identityContract } from './contract.ts'
export { authorizeApi, type AdminQuestion, type AdminVerdict } from './authorize-api.ts'
export { identityRoutes } from './routes.ts'
export { accountsContract } from './accounts/contract.ts'
export { scimRoutes } from './scim/routes.ts'
export { accountsRoutes } from './accounts/routes.ts'
export type { NamesOfGroups } from './accounts/renames.ts'
