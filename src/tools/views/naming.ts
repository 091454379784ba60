import { createHash } from 'node:crypto'

/**
 * Names inside a gateway. A tool keeps its bare name while that is unique; who comes second to a name gets
 * `server_tool`, and nobody who already has a name is renamed. Assignments are stored, so names survive restarts and
 * members that come and go. Clients cut or refuse names over 64 characters, so none is longer.
 */
export type Assignment = { readonly name: string; readonly server: string; readonly original: string }

/** A thing that needs a name; `wished` is the admin's own choice and wins over everything that was assigned by itself. */
export type NameWish = { readonly server: string; readonly original: string; readonly wished?: string | undefined }

const MAX_LENGTH = 64

/**
 * One name for each wish, in the order of the wishes, but whose own name can stay as it is comes before whose name has
 * to be changed. `existing` assignments are kept, also for things that are not
 * wished at the moment, so that their names are not given away. Of two equal `wished` names the first wins.
 */
export function assignNames(existing: readonly Assignment[], wishes: readonly NameWish[]): Assignment[] {
  const chosen = chosenNames(wishes)
  const known = new Map(existing.map((assignment) => [keyOf(assignment), assignment.name]))
  const wished = new Set(wishes.map(keyOf))
  const taken = new Set(chosen.values())
  for (const assignment of existing) if (!wished.has(keyOf(assignment))) taken.add(assignment.name)
  const names = new Map(wishes.flatMap((wish) => keptName(wish, { chosen, known, taken })))
  const nameless = wishes.filter((wish) => !names.has(keyOf(wish)))
  for (const wish of [...nameless.filter(isName), ...nameless.filter((other) => !isName(other))]) {
    const name = freeName(wish, taken)
    taken.add(name)
    names.set(keyOf(wish), name)
  }
  return wishes.map((wish) => ({ name: names.get(keyOf(wish)) ?? '', server: wish.server, original: wish.original }))
}

function isName({ original }: NameWish): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(original)
}

function chosenNames(wishes: readonly NameWish[]): Map<string, string> {
  const owners = new Map<string, string>()
  for (const wish of wishes) if (wish.wished && !owners.has(wish.wished)) owners.set(wish.wished, keyOf(wish))
  return new Map([...owners].map(([name, key]) => [key, name]))
}

function keptName(
  wish: NameWish,
  names: { chosen: Map<string, string>; known: Map<string, string>; taken: Set<string> },
): [string, string][] {
  const key = keyOf(wish)
  const chosen = names.chosen.get(key)
  if (chosen) return [[key, chosen]]
  const known = names.known.get(key)
  if (!known || names.taken.has(known)) return []
  names.taken.add(known)
  return [[key, known]]
}

function freeName(wish: NameWish, taken: ReadonlySet<string>): string {
  const bare = toName(wish.original, wish)
  const candidates = [bare, toName(`${wish.server}_${wish.original}`, wish), withHash(`${wish.server}_${bare}`, wish)]
  const free = candidates.find((candidate) => !taken.has(candidate))
  if (free) return free
  for (let round = 2; ; round++) {
    const name = withHash(`${wish.server}_${bare}`, { ...wish, original: `${wish.original}#${round}` })
    if (!taken.has(name)) return name
  }
}

/**
 * `text` as a name: other characters become `_`, and what is too long ends in a hash of its origin. Where nothing would
 * be left to read (names in other scripts), it is the server's name with that hash.
 */
function toName(text: string, wish: NameWish): string {
  const clean = text.replaceAll(/[^A-Za-z0-9_-]/g, '_')
  if (clean !== text && !/[A-Za-z0-9]/.test(clean)) return withHash(wish.server, wish)
  return clean.length >= 1 && clean.length <= MAX_LENGTH ? clean : withHash(clean === '' ? wish.server : clean, wish)
}

function withHash(text: string, wish: NameWish): string {
  const hash = createHash('sha256').update(`${wish.server}/${wish.original}`).digest('hex').slice(0, 8)
  const clean = text.replaceAll(/[^A-Za-z0-9_-]/g, '_')
  return `${clean.slice(0, MAX_LENGTH - 9)}_${hash}`
}

function keyOf(thing: { server: string; original: string }): string {
  return `${thing.server}/${thing.original}`
}

/**
 * The address of a resource whose bare URI another server already has in this gateway. The scheme of MCP Apps (`ui://`)
 * must stay, so there the server goes into the authority; elsewhere into the scheme (RFC 3986 §3.1 allows `+`).
 */
export function aliasUri(server: string, uri: string): string {
  if (uri.startsWith('ui://')) return `ui://${server}.gatehouse/${uri.slice('ui://'.length)}`
  return `${server}+${uri}`
}
