import { findEmails } from './email.ts'
import { findIbans } from './iban.ts'
import { findBareSsns, findCards, findPhones, findSsns } from './numbers.ts'
import { findSecrets, SECRETS } from './secrets.ts'
import type { Finder } from './span.ts'

/** Everything that `detect` may name. `secrets` is all keys and tokens together. */
const DETECTORS = {
  card: [findCards],
  ssn: [findSsns],
  'ssn-bare': [findBareSsns],
  iban: [findIbans],
  email: [findEmails],
  phone: [findPhones],
  secrets: [findSecrets],
  ...SECRETS,
} as const satisfies Readonly<Record<string, readonly Finder[]>>

export type Detector = keyof typeof DETECTORS

export const DETECTOR_NAMES = [
  'card',
  'ssn',
  'ssn-bare',
  'iban',
  'email',
  'phone',
  'secrets',
  'aws-key',
  'github-token',
  'gitlab-token',
  'slack-token',
  'google-key',
  'stripe-key',
  'ai-key',
  'npm-token',
  'gatehouse-key',
  'jwt',
  'private-key',
] as const satisfies readonly Detector[]

export function findersOf(detector: Detector): readonly Finder[] {
  return DETECTORS[detector]
}
