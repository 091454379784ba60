export type KeyPath = readonly (string | number)[]

/** One mistake in the file; its line is found from `path` afterwards. `meant` is the path that was probably meant. */
export type Finding = { readonly path: KeyPath; readonly text: string; readonly meant?: KeyPath }

/** The table a path lies in, written as in the file: `[[gateways]]`, `[server]`, or `at the top level`. */
export function inTable(path: KeyPath): string {
  const name = path.filter((step) => typeof step === 'string').join('.')
  if (name === '') return 'at the top level'
  return typeof path.at(-1) === 'number' ? `in [[${name}]]` : `in [${name}]`
}

/** A key path as one word: `gateways[1].tools[0]`. */
export function pathName(path: KeyPath): string {
  return path.reduce<string>((name, step) => {
    if (typeof step === 'number') return `${name}[${step}]`
    return name === '' ? step : `${name}.${step}`
  }, '')
}

/** Equal exactly for equal paths. */
export function pathId(path: KeyPath): string {
  return JSON.stringify(path)
}
