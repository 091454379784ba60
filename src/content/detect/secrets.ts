import { finderOf, NOWHERE, type Finder, type Span } from './span.ts'

/** Keys and tokens by the shapes their makers publish. */
const awsKeys = finderOf(/(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Z0-9])/g)
const awsSecrets = finderOf(/aws.?secret.?(?:access.?)?key["']?\s{0,4}[:=]\s{0,4}["']?[A-Za-z0-9/+=]{40}/gi)
const githubTokens = finderOf(/(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})/g)
const gitlabTokens = finderOf(/(?<![A-Za-z0-9])glpat-[A-Za-z0-9_-]{20,255}/g)
const slackTokens = finderOf(
  /(?<![A-Za-z0-9])(?:xox[abeoprs]-[A-Za-z0-9-]{10,255}|xapp-\d-[A-Za-z0-9-]{10,255})|hooks\.slack\.com\/services\/[A-Za-z0-9/]{20,100}/g,
)
const googleKeys = finderOf(
  /(?<![A-Za-z0-9])(?:AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,2000}|GOCSPX-[A-Za-z0-9_-]{28})/g,
)
const stripeKeys = finderOf(
  /(?<![A-Za-z0-9])(?:[rsp]k_(?:live|test)_[A-Za-z0-9]{10,255}|whsec_[A-Za-z0-9+/=]{24,255})/g,
)
const aiKeys = finderOf(/(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{20,255}|hf_[A-Za-z0-9]{30,100})/g)
const npmTokens = finderOf(/(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}/g)
const gatehouseKeys = finderOf(/(?<![A-Za-z0-9])(?:gh_[0-9a-z]{8}_[0-9a-z]{39}|gha_[A-Za-z0-9_-]{43})/g)
const JWT_CHAR = /[A-Za-z0-9_-]*/y

/** From each `eyJ` (base64url of `{"`) on; a run of characters is read once, however often that stands in it. */
const jwts: Finder = (text) => {
  const spans: Span[] = []
  let after = 0
  for (let at = text.indexOf('eyJ'); at >= 0; at = text.indexOf('eyJ', Math.max(at + 1, after))) {
    const ends = [endOfPart(text, at)]
    while (ends.length < 5 && text.charAt(ends.at(-1) ?? 0) === '.') ends.push(endOfPart(text, (ends.at(-1) ?? 0) + 1))
    after = ends.at(-1) ?? after
    if (ends.length >= 2 && isJwt(text.slice(at, after))) spans.push([at, after])
  }
  return spans
}

function endOfPart(text: string, start: number): number {
  JWT_CHAR.lastIndex = start
  JWT_CHAR.test(text)
  return JWT_CHAR.lastIndex
}

/** RFC 7515 §4.1.1: the first part is a JSON object that names the algorithm. */
function isJwt(found: string): boolean {
  const header = Buffer.from(found.slice(0, Math.min(found.indexOf('.'), 8_192)), 'base64url').toString('utf8')
  return header.startsWith('{') && header.includes('"alg"')
}

const PEM_BEGINNING = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g
const MAX_PEM_CHARS = 16_384

/** RFC 7468: a private key from its first line to its last; one that is cut off counts as well. */
const privateKeys: Finder = (text) => {
  const spans: Span[] = []
  let after = 0
  for (const { 0: beginning, index } of text.matchAll(PEM_BEGINNING)) {
    if (index < after) continue
    const body = text.slice(index + beginning.length, index + MAX_PEM_CHARS)
    const ending = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/.exec(body)
    after = index + beginning.length + (ending ? ending.index + ending[0].length : body.length)
    spans.push([index, after])
  }
  return spans
}

export const SECRETS = {
  'aws-key': [awsKeys, awsSecrets],
  'github-token': [githubTokens],
  'gitlab-token': [gitlabTokens],
  'slack-token': [slackTokens],
  'google-key': [googleKeys],
  'stripe-key': [stripeKeys],
  'ai-key': [aiKeys],
  'npm-token': [npmTokens],
  'gatehouse-key': [gatehouseKeys],
  jwt: [jwts],
  'private-key': [privateKeys],
} as const satisfies Readonly<Record<string, readonly Finder[]>>

/** Something that every one of them has; most texts have none, and are done with at once. */
const HINT =
  /A(?:KIA|SIA|BIA|CCA|Iza)|aws|gh[pousra]?_|github_pat_|glpat-|xox|xapp-|hooks\.slack|ya29|GOCSPX|[rsp]k_|whsec_|sk-|hf_|npm_|eyJ|-----BEGIN/i

/** All of them, in one look where there is nothing. */
export const findSecrets: Finder = (text) =>
  HINT.test(text) ? Object.values(SECRETS).flatMap((finders) => finders.flatMap((find) => find(text))) : NOWHERE
