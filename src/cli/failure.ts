import { errorCode, isProblem } from '#kernel'

/** Asked wrongly: exit code 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UsageError'
  }
}

/** Something that a person can put right, said in one sentence, with what to do: exit code 1. */
export class Failure extends Error {
  readonly hint: string | undefined
  constructor(message: string, hint?: string) {
    super(message)
    this.name = 'Failure'
    this.hint = hint
  }
}

/** For `.catch()`: a file that somebody named cannot be read. */
export function unreadable(file: string): (error: unknown) => never {
  return (error) => {
    throw whyUnreadable(file, error)
  }
}

function whyUnreadable(file: string, error: unknown): Failure {
  const why = WHY_UNREADABLE[errorCode(error) ?? '']
  return why === undefined ? new Failure(`${file} cannot be read.`, String(error)) : new Failure(`${file}: ${why}.`)
}

const WHY_UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'this user may not read it',
  EISDIR: 'it is a directory, not a file',
}

/** What is printed for whatever was thrown. A Problem's detail says already what to do. */
export function describeFailure(error: unknown): { text: string; code: 1 | 2 } {
  if (error instanceof UsageError) return { text: `${error.message}\n`, code: 2 }
  if (error instanceof Failure) return { text: withHint(error.message, error.hint), code: 1 }
  if (isProblem(error)) return { text: `${error.message}\n`, code: 1 }
  return { text: `${messages(error).join(': ')}\n`, code: 1 }
}

function withHint(message: string, hint: string | undefined): string {
  return hint === undefined ? `${message}\n` : `${message}\n  ${hint}\n`
}

/** The chain of causes, each said once. */
function messages(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)]
  const rest = error.cause === undefined ? [] : messages(error.cause)
  return [error.message, ...rest.filter((message) => !error.message.includes(message))]
}
