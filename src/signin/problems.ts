import type { ProblemKind } from '#kernel'

export const SOURCE_REFUSED = {
  code: 'signin/source-refused',
  status: 403,
  title: 'The identity provider did not sign you in',
} as const satisfies ProblemKind
export const SOURCE_UNREACHABLE = {
  code: 'signin/source-unreachable',
  status: 502,
  title: 'The identity provider cannot be asked',
} as const satisfies ProblemKind
export const FORGED_FORM = {
  code: 'signin/forged-form',
  status: 403,
  title: 'The form does not belong to this browser',
} as const satisfies ProblemKind
export const NOT_LET_IN = {
  code: 'signin/not-let-in',
  status: 403,
  title: 'The login policy does not let you in here',
} as const satisfies ProblemKind
export const NO_SUCH_SIGN_IN = {
  code: 'signin/no-such-request',
  status: 404,
  title: 'Nothing waits for you here',
} as const satisfies ProblemKind
export const SIGN_IN_EXPIRED = {
  code: 'signin/expired',
  status: 400,
  title: 'This sign-in took too long',
} as const satisfies ProblemKind
export const PROOF_NEEDED = {
  code: 'signin/proof-needed',
  status: 403,
  title: 'Prove once more that it is you',
} as const satisfies ProblemKind
export const BAD_FORM = {
  code: 'signin/bad-form',
  status: 400,
  title: 'The form cannot be used like this',
} as const satisfies ProblemKind
export const NO_SUCH_SOURCE = {
  code: 'signin/no-such-source',
  status: 404,
  title: 'There is no such identity source',
} as const satisfies ProblemKind
export const WRONG_PROOF = {
  code: 'signin/wrong-proof',
  status: 403,
  title: 'That is not right',
} as const satisfies ProblemKind
