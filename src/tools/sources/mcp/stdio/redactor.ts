import { findSecrets } from '#content'
import { isSecretName, withoutTokens } from '#telemetry'
import type { StdioServerConfig } from '../../../config.ts'

/** Takes out of one printed line what must not be read in a log. `cut`: the line goes on, but nobody kept how. */
export type Redactor = (line: string, options?: { cut: boolean }) => string

const LEAST = 6
const LEAST_OF_A_SECRET = 3
const LEAST_PREFIX = 3

/**
 * Three nets: the values that this server was given (environment and arguments, also as base64 or in a URL), keys and
 * tokens by the shapes that content rules know, and whatever stands behind "Bearer".
 */
export function createRedactor(config: Pick<StdioServerConfig, 'env' | 'command'>): Redactor {
  const secrets = secretsOf(config)
  return (line, { cut } = { cut: false }) => {
    const whole = cut ? withoutBrokenEnd(line, secrets) : line
    const known = secrets.reduce((left, secret) => left.replaceAll(secret, '[secret]'), whole)
    return withoutTokens(withoutShapes(known)).replaceAll(TOKEN, '[token]')
  }
}

/** A JSON Web Token, also one that is cut off: servers print what they are sent, and who calls is in it. */
const TOKEN = /\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}/g

/** Longest first, so that no secret is left half by another that is a part of it. */
function secretsOf({ env, command }: Pick<StdioServerConfig, 'env' | 'command'>): readonly string[] {
  const given = Object.entries(env).flatMap(([name, value]) => {
    const least = isSecretName(name) ? LEAST_OF_A_SECRET : LEAST
    return partsOf(value).filter((part) => part.length >= least)
  })
  // Options and paths say nothing; a value that holds a secret is long, or follows "=".
  const typed = command.slice(1).flatMap((word) => (MAY_BE_SECRET.test(word) ? partsOf(valueOf(word)) : []))
  const all = [...given, ...typed.filter((part) => part.length >= LEAST)].flatMap(spellingsOf)
  return [...new Set(all)].sort((a, b) => b.length - a.length)
}

const MAY_BE_SECRET = /secret|token|password|passwd|key|bearer|:\/\/[^/]*@/i

function valueOf(word: string): string {
  return word.startsWith('-') ? word.slice(word.indexOf('=') + 1) : word
}

/** Programs print a key of many lines line by line, and of an address its password alone. */
function partsOf(value: string): readonly string[] {
  const lines = value.split(/\r?\n/).map((line) => line.trim())
  const password = URL.parse(value)?.password ?? ''
  return [value.trim(), ...lines, ...(password === '' ? [] : [password, decoded(password)])]
}

function decoded(password: string): string {
  try {
    return decodeURIComponent(password)
  } catch {
    return password
  }
}

/** As it is, in a URL, in JSON, and inside base64, where what stands before it decides how it looks. */
function spellingsOf(secret: string): readonly string[] {
  const inJson = JSON.stringify(secret).slice(1, -1)
  return [secret, encodeURIComponent(secret), inJson, ...(secret.length < LEAST ? [] : insideBase64(secret))]
}

/** The characters that come from the secret alone: those at the ends mix with its neighbours. */
function insideBase64(secret: string): readonly string[] {
  return [0, 1, 2].flatMap((before) => {
    const bytes = Buffer.concat([Buffer.alloc(before), Buffer.from(secret)])
    const ends = { start: [0, 2, 3][before], end: Math.floor((bytes.length * 8) / 6) }
    return ['base64' as const, 'base64url' as const].map((name) => bytes.toString(name).slice(ends.start, ends.end))
  })
}

function withoutShapes(line: string): string {
  let left = line
  for (const [start, end] of findSecrets(line).toSorted(([a], [b]) => b - a)) {
    left = `${left.slice(0, start)}[secret]${left.slice(end)}`
  }
  return left
}

/** Of a secret at the cut only the beginning is there, which no net would know: the last word goes, and what began one. */
function withoutBrokenEnd(line: string, secrets: readonly string[]): string {
  const begun = secrets.map((secret) => {
    for (let length = Math.min(secret.length - 1, line.length); length >= LEAST_PREFIX; length--) {
      if (line.endsWith(secret.slice(0, length))) return line.length - length
    }
    return line.length
  })
  return line.slice(0, Math.min(line.search(/\S*$/), ...begun))
}
