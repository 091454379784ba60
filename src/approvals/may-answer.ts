import type { Member } from '#identity'
import type { ApprovalsConfig, ShownApproval, Way } from './schema.ts'

type Deps = { readonly config: ApprovalsConfig; readonly findMember: (userId: string) => Member | null }

/** How those are called in the trail whom the webhook's service names. */
export const WEBHOOK = 'webhook:'

/** However a service elsewhere spells the name. */
function isCaller(approval: ShownApproval, userId: string): boolean {
  if (userId === approval.userId) return true
  return userId.startsWith(WEBHOOK) && folded(userId.slice(WEBHOOK.length)) === folded(approval.userId)
}

function folded(name: string): string {
  return name.normalize('NFKC').replaceAll(/\s/g, '').toLowerCase()
}

/** Approvers are admins and members of the groups; the caller only where the configuration says so. */
export function mayAnswer({ config, findMember }: Deps, approval: ShownApproval, userId: string, via?: Way): boolean {
  if (isCaller(approval, userId)) return config.who === 'caller'
  // These were let in as admins, or hold what an admin made for them: a link, or the secret of the webhook.
  if (via === 'cli' || via === 'rest' || via === 'link' || via === 'webhook') return true
  const member = findMember(userId)
  if (member === null || !member.isActive) return false
  return member.role === 'admin' || member.groups.some((group) => config.groups.includes(group))
}
