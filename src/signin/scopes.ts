/** What scopes let a program do, in words. Those we do not know are shown as they are. */
export function describeScopes(scopes: readonly string[], gateway: string | null): readonly string[] {
  const where = gateway === null ? 'its gateways' : gateway
  const known: Readonly<Record<string, string>> = {
    openid: 'Know your user id',
    profile: 'Know your name',
    email: 'Know your e-mail address',
    groups: 'Know your groups',
    offline_access: 'Stay connected until you disconnect it',
    mcp: `Use every tool of ${where} that you may use`,
    'mcp:tools': `Use every tool of ${where} that you may use`,
  }
  const words = scopes.map((scope) => (Object.hasOwn(known, scope) ? (known[scope] ?? scope) : `Use “${scope}”`))
  return words.length > 0 ? [...new Set(words)] : ['Know that you are signed in']
}
