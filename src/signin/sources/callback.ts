/** Each source has an address of its own to come back to, so that no other one can answer in its place (RFC 9700 §4.4). */
export function callbackUrlOf(deps: { readonly publicUrl: () => string }, name: string): string {
  return `${deps.publicUrl().replace(/\/$/, '')}/signin/sources/${name}/callback`
}
