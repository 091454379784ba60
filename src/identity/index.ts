/**
 * Who is calling. For now by API keys: `gh_…`, shown once, stored as a hash, bound to gateways and perhaps to one user.
 *
 * `identity.keyring()` is all keys at this moment, in memory and unchangeable; `authenticate` on it decides without
 * waiting (`keyring.ts`). Making or revoking a key (`service.ts`) is recorded first, then stored, and builds the next
 * keyring on every replica (`live-keyring.ts`). `admin-token.ts` is how the command line on the same machine proves
 * itself. Accounts, log-in and OAuth will live beside the keys; `userId` is the string that they will explain.
 */
export { createIdentity, type Identity, type IdentityDeps } from './service.ts'
export type { AdminAuthentication, Authentication, Credentials, Keyring, Refused } from './keyring.ts'
export {
  apiKey,
  createdKey,
  createKeyRequest,
  keyPage,
  listKeysRequest,
  userId,
  type Actor,
  type ApiKey,
  type CreatedKey,
  type CreateKeyRequest,
  type KeyPage,
  type ListKeysRequest,
} from './schema.ts'
export { ensureAdminToken, type AdminToken } from './admin-token.ts'
export { isUserId } from './user-id.ts'
export { IDENTITY_MIGRATIONS } from './migrations.ts'
export {
  BAD_ADMIN_TOKEN,
  BAD_KEY_REQUEST,
  BAD_USER,
  FORBIDDEN,
  KEY_EXPIRED,
  KEY_REVOKED,
  NO_SUCH_KEY,
  UNAUTHENTICATED,
  USER_NEEDED,
} from './problems.ts'
export { identityContract } from './contract.ts'
export { authorizeApi, identityRoutes } from './routes.ts'
