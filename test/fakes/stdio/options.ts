/** The value of `--name=value` on the command line, `''` for a bare `--name`, undefined when it is absent. */
export function option(name: string): string | undefined {
  const given = process.argv.find((word) => word === `--${name}` || word.startsWith(`--${name}=`))
  return given?.split('=').slice(1).join('=')
}

/** The same as a number, with a default. */
export function numberOption(name: string, otherwise: number): number {
  const given = option(name)
  return given === undefined || given === '' ? otherwise : Number(given)
}
