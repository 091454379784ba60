/** May this principal do this to that? */
export type Question = {
  readonly principal: { readonly userId: string; readonly keyId: string | null; readonly gateways: readonly string[] }
  readonly action: 'call' | 'list' | 'read' | 'prompt' | 'complete'
  readonly resource: { readonly gateway: string; readonly server: string; readonly name: string }
}

export type Verdict = {
  readonly effect: 'allow' | 'deny'
  /** The deciding rule; null when there was none, which is a no. */
  readonly rule: string | null
  readonly reason: string
}

export type Policy = { decide(question: Question): Verdict }

const OPEN: Verdict = { effect: 'allow', rule: 'gateway-open', reason: 'the gateway is open to this machine' }
const KEY: Verdict = { effect: 'allow', rule: 'gateway-key', reason: 'the key was made for this gateway' }
const ADMIN: Verdict = { effect: 'allow', rule: 'admin', reason: 'an admin of this house acts for the user' }
const NONE: Verdict = { effect: 'deny', rule: null, reason: 'no rule allows it' }

/** The policy in force. Decisions are pure and cost no I/O. */
export function createPolicy(): Policy {
  return {
    decide({ principal, resource }) {
      const reaches = principal.gateways.includes(resource.gateway) || principal.gateways.includes('*')
      if (!reaches) return NONE
      if (principal.keyId !== null) return KEY
      // Without a key: the gateway's own door stands open, or the admin of this machine came in by another.
      return principal.gateways.includes('*') ? ADMIN : OPEN
    },
  }
}
