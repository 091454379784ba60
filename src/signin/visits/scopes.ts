import type { ConsentGateway } from '../ports.ts'

/** What scopes let a program do, in words. Those we do not know are shown as they are. */
export function describeScopes(scopes: readonly string[], gateway: ConsentGateway | null): readonly string[] {
  const where = gateway?.title ?? 'its gateways'
  const known: Readonly<Record<string, string>> = {
    openid: 'Know your user id',
    profile: 'Know your name',
    email: 'Know your e-mail address',
    groups: 'Know your groups',
    offline_access: 'Stay connected until you disconnect it',
    mcp: useOf(where, gateway),
  }
  const words = scopes.flatMap((scope) => {
    const further = (gateway?.scopes ?? []).filter((other) => other.scope === scope)
    if (further.length > 0) return further.map(({ allows }) => allows)
    return Object.hasOwn(known, scope) ? (known[scope] ?? scope) : `Use “${scope}”`
  })
  return words.length > 0 ? [...new Set(words)] : ['Know that you are signed in']
}

function useOf(where: string, gateway: ConsentGateway | null): string {
  const rest = (gateway?.scopes.length ?? 0) > 0 ? ', except those that need a permission of their own' : ''
  return `Use every tool of ${where} that you may use${rest}`
}
