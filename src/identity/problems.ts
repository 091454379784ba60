import type { ProblemKind } from '#kernel'

/** No valid key came with the request. */
export const UNAUTHENTICATED = {
  code: 'identity/unauthenticated',
  status: 401,
  title: 'Authentication is needed',
} as const satisfies ProblemKind
/** Told only to someone who holds the key itself. */
export const KEY_EXPIRED = {
  code: 'identity/key-expired',
  status: 401,
  title: 'The API key has expired',
} as const satisfies ProblemKind
/** Told only to someone who holds the key itself. */
export const KEY_REVOKED = {
  code: 'identity/key-revoked',
  status: 401,
  title: 'The API key was revoked',
} as const satisfies ProblemKind
export const USER_NEEDED = {
  code: 'identity/user-needed',
  status: 401,
  title: 'The request names no user',
} as const satisfies ProblemKind
export const BAD_USER = {
  code: 'identity/bad-user',
  status: 400,
  title: 'The user id cannot be used',
} as const satisfies ProblemKind
export const FORBIDDEN = {
  code: 'identity/forbidden',
  status: 403,
  title: 'The API key may not be used like this',
} as const satisfies ProblemKind
export const BAD_KEY_REQUEST = {
  code: 'identity/bad-key-request',
  status: 400,
  title: 'The API key cannot be made like this',
} as const satisfies ProblemKind
export const NO_SUCH_KEY = {
  code: 'identity/no-such-key',
  status: 404,
  title: 'There is no such API key',
} as const satisfies ProblemKind
export const BAD_ADMIN_TOKEN = {
  code: 'identity/bad-admin-token',
  status: 500,
  title: 'The admin token cannot be read',
} as const satisfies ProblemKind
/** Told only to someone who holds a key of the account, or who administers it. */
export const ACCOUNT_INACTIVE = {
  code: 'identity/account-inactive',
  status: 403,
  title: 'The account is not active',
} as const satisfies ProblemKind
/** Rules go by the name, and a rename would change for whom they are. */
export const GROUP_NAMED = {
  code: 'identity/group-named',
  status: 400,
  title: 'Rules go by the name of the group',
} as const satisfies ProblemKind
export const BAD_ACCOUNT = {
  code: 'identity/bad-account',
  status: 400,
  title: 'The account cannot be like this',
} as const satisfies ProblemKind
export const USER_ID_TAKEN = {
  code: 'identity/user-id-taken',
  status: 409,
  title: 'The user id is taken',
} as const satisfies ProblemKind
export const NO_SUCH_ACCOUNT = {
  code: 'identity/no-such-account',
  status: 404,
  title: 'There is no such account',
} as const satisfies ProblemKind
export const BAD_GROUP = {
  code: 'identity/bad-group',
  status: 400,
  title: 'The group cannot be like this',
} as const satisfies ProblemKind
export const NO_SUCH_GROUP = {
  code: 'identity/no-such-group',
  status: 404,
  title: 'There is no such group',
} as const satisfies ProblemKind
export const BAD_PASSWORD = {
  code: 'identity/bad-password',
  status: 400,
  title: 'The password cannot be used',
} as const satisfies ProblemKind
export const SIGN_IN_BUSY = {
  code: 'identity/sign-in-busy',
  status: 503,
  title: 'Too many people sign in at once',
} as const satisfies ProblemKind
export const SIGN_IN_LOCKED = {
  code: 'identity/sign-in-locked',
  status: 429,
  title: 'Too many wrong guesses',
} as const satisfies ProblemKind
export const NO_SUCH_SESSION = {
  code: 'identity/no-such-session',
  status: 404,
  title: 'There is no such session',
} as const satisfies ProblemKind
export const LAST_ADMIN = {
  code: 'identity/last-admin',
  status: 409,
  title: 'This is the last active admin',
} as const satisfies ProblemKind
export const BAD_FACTOR = {
  code: 'identity/bad-factor',
  status: 400,
  title: 'The factor cannot be set up like this',
} as const satisfies ProblemKind
export const NO_SUCH_FACTOR = {
  code: 'identity/no-such-factor',
  status: 404,
  title: 'There is no such factor',
} as const satisfies ProblemKind
