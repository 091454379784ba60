/**
 * A small subset of JSONPath (RFC 9535): `$`, `.name`, `['name']`, `[3]`, `.*`, `[*]`, `..name`, `..*`. No filters, no
 * slices: a rule should be plain to read. A path is matched while a value is walked, as a set of states in one number.
 */
export type JsonPath = { readonly steps: readonly Step[] }

/** `name` null: any member. `isDeep`: at any depth below. */
type Step = { readonly name: string | null; readonly isDeep: boolean }

const MAX_STEPS = 24
const STEP = /(\.\.|\.)([A-Za-z_$][\w$-]*|\*)|(\.\.)?\[(?:(\d{1,7})|(\*)|'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\]/y

/** Reads a path, or says in words what is wrong with it. */
export function parsePath(text: string): JsonPath | { readonly wrong: string } {
  if (!text.startsWith('$')) return { wrong: 'it must begin with "$", which stands for the arguments or the result' }
  const steps: Step[] = []
  for (let at = 1; at < text.length;) {
    STEP.lastIndex = at
    const match = STEP.exec(text)
    if (match === null)
      return { wrong: `"${text.slice(at, at + 20)}" cannot be read; write .name, ['name'], [3], [*] or ..name` }
    steps.push(toStep(match))
    at = STEP.lastIndex
  }
  if (steps.length > MAX_STEPS) return { wrong: `it has more than ${MAX_STEPS} steps` }
  return { steps }
}

function toStep([, dots, word, deep, index, star, single, double]: RegExpExecArray): Step {
  const isDeep = dots === '..' || deep === '..'
  if (word === '*' || star !== undefined) return { name: null, isDeep }
  const quoted = single ?? double
  return { name: word ?? index ?? quoted?.replaceAll(/\\(.)/g, '$1') ?? '', isDeep }
}

/** The states at the root. */
export const AT_ROOT = 1

/** The states of a member, from those of what it is in. */
export function stepInto({ steps }: JsonPath, states: number, key: string): number {
  let next = 0
  for (let state = 0; state < steps.length; state++) {
    const step = steps[state]
    if (step === undefined || (states & (1 << state)) === 0) continue
    if (step.isDeep) next |= 1 << state
    if (step.name === null || step.name === key) next |= 1 << (state + 1)
  }
  return next
}

/** True when the value with these states is one that the path names. */
export function isNamed({ steps }: JsonPath, states: number): boolean {
  return (states & (1 << steps.length)) !== 0
}
