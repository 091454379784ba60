import { CLIENTS, snippetFor } from './snippets.ts'

export type Place = {
  readonly url: string
  readonly publicUrl: string
  readonly dataDir: string
  readonly file: string | undefined
  readonly slug: string | undefined
}

/** What a newcomer reads: where it is, the key, and a line for each client. */
export function firstWelcome(place: Place, first: { slug: string; key: string; user: string }): string {
  const url = `${place.publicUrl}/mcp/${first.slug}`
  const snippets = CLIENTS.map((client) => snippetFor(client, { url, key: first.key }))
  return [
    ...head(place),
    '',
    `Your API key, for ${first.user}, at every gateway. It is shown this once:`,
    `  ${first.key}`,
    '',
    `Connect a client to the gateway "${first.slug}":`,
    ...snippets.flatMap(({ title, text }) => ['', title, text]),
    '',
    'Add a server:  ./gatehouse server add NAME --url URL',
    'Look around:   ./gatehouse --help',
    '',
  ].join('\n')
}

/** What is worth knowing every time. */
export function laterWelcome(place: Place): string {
  const slug = place.slug ?? 'SLUG'
  const next =
    place.slug === undefined
      ? ['No gateway yet:   ./gatehouse gateway add SLUG --tools "SERVER/*"']
      : ['Connect a client: ./gatehouse connect']
  const key = `A new key:        ./gatehouse key create --gateway ${slug} --user YOU`
  return [...head(place), '', ...next, key, ''].join('\n')
}

function head(place: Place): string[] {
  return [
    `Gatehouse listens on ${place.url}`,
    `  admin API       ${place.url}/openapi.json`,
    `  health          ${place.url}/health`,
    `  data            ${place.dataDir}`,
    ...(place.file === undefined ? [] : [`  configuration   ${place.file}`]),
  ]
}
