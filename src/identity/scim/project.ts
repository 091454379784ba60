/** RFC 7644 §3.9: `attributes` and `excludedAttributes`, as far as they name whole attributes. */
export function project(value: object, query: URLSearchParams): object {
  const wanted = namesIn(query, 'attributes')
  const unwanted = namesIn(query, 'excludedAttributes')
  if (wanted.size === 0 && unwanted.size === 0) return value
  const isShown = (name: string) => ALWAYS.has(name) || ((wanted.size === 0 || wanted.has(name)) && !unwanted.has(name))
  const one = (resource: object) =>
    Object.fromEntries(Object.entries(resource).filter(([name]) => isShown(name.toLowerCase())))
  if (!('Resources' in value)) return one(value)
  const resources: unknown = value.Resources
  return { ...value, Resources: Array.isArray(resources) ? resources.map((resource) => one(Object(resource))) : [] }
}

const ALWAYS: ReadonlySet<string> = new Set(['schemas', 'id'])

/** False when the client does without them. */
export function withMembers(query: URLSearchParams): boolean {
  const wanted = namesIn(query, 'attributes')
  return !namesIn(query, 'excludedAttributes').has('members') && (wanted.size === 0 || wanted.has('members'))
}

function namesIn(query: URLSearchParams, name: string): ReadonlySet<string> {
  const names = (query.get(name) ?? '').slice(0, 2_000).split(',')
  // Of `name.givenName`, the whole name is shown.
  return new Set(names.map((one) => one.trim().toLowerCase().split('.')[0] ?? '').filter((one) => one !== ''))
}
