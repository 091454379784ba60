/** The code of a failed system call (`ENOENT`), or undefined for an error without one. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** For `.catch()`: an error with this code counts as no result; any other is thrown on. */
export function unlessCode(code: string): (error: unknown) => undefined {
  return (error) => {
    if (errorCode(error) === code) return undefined
    throw error
  }
}
