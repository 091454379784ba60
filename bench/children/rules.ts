import { z } from 'zod'
import { contentRule, type ContentRule } from '../../src/content/index.ts'
import type { Gatehouse } from '../../src/main/index.ts'

/** The rules that benchmarks measure with, and how they come into force. */
const ADMIN = { userId: 'bench', keyId: null, face: 'cli' } as const
export const USER = 'bench@example.com'

export const CEDAR = `
@id("guests") forbid(principal in Role::"guest", action, resource) when { resource.destructive };
@id("contractors") forbid(principal in Group::"contractors", action, resource in Server::"payroll");
@id("kinds") permit(principal, action, resource in Gateway::"granted") when { resource.readOnly && principal.kind == "person" };
`

export const RULES: readonly ContentRule[] = [
  contentRule.parse({ name: 'no-ssn', phase: 'input', detect: ['ssn', 'card'], effect: 'block' }),
  contentRule.parse({ name: 'no-keys', detect: ['secrets'], effect: 'redact' }),
  contentRule.parse({ name: 'names', pattern: '(?i)project\\s+falcon', effect: 'replace', with: 'the project' }),
]

const governed = z.enum(['nothing', 'cedar', 'content', 'all'])
export type Governed = z.infer<typeof governed>

type House = Pick<Gatehouse, 'policy' | 'content' | 'identity'>

/** Whether calls are to be made at the gateway of default deny, or at the one that is open to all. */
export function isGranted(state: Governed): boolean {
  return state === 'cedar' || state === 'all'
}

/** Grants for one user, for 500 others as well, and a stored version of the rules. Gives the user's key. */
export async function grantAll({ policy, identity }: Pick<House, 'policy' | 'identity'>): Promise<string> {
  for (const id of [USER, ...Array.from({ length: 500 }, (_, other) => `user${other}@example.com`)])
    await policy.addGrant({ subject: { kind: 'user', id }, gateway: 'granted', tools: ['*'] }, ADMIN)
  await policy.putPolicy({ text: CEDAR }, ADMIN)
  return (await identity.createKey({ userId: USER, gateways: ['*'], role: 'user' }, ADMIN)).key
}

/** Puts these rules in force, and no others. */
export async function govern({ policy, content }: Pick<House, 'policy' | 'content'>, given: unknown): Promise<void> {
  const { state } = z.object({ state: governed }).parse(given)
  content.declare(state === 'content' || state === 'all' ? RULES : [])
  await policy.activatePolicy(isGranted(state) ? 1 : null, ADMIN)
}
