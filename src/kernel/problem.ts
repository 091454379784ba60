/** A kind of problem, listed once as a constant in the room that raises it. `code` is stable: `room/what`. */
export type ProblemKind = { readonly code: string; readonly status: number; readonly title: string }

/**
 * Something the caller can fix (RFC 9457). `detail` names the thing, quotes what was sent and says what to do next;
 * it is shown to the caller, so it never holds a secret. Anything else thrown is a bug or an outage.
 */
export class Problem extends Error {
  readonly kind: ProblemKind
  readonly extra: Readonly<Record<string, unknown>>

  constructor(kind: ProblemKind, detail: string, extra: Readonly<Record<string, unknown>> & { cause?: unknown } = {}) {
    const { cause, ...rest } = extra
    super(detail, cause === undefined ? undefined : { cause })
    this.name = 'Problem'
    this.kind = kind
    this.extra = rest
  }

  /** The `application/problem+json` body. */
  toJSON(): Record<string, unknown> {
    const { code, status, title } = this.kind
    return { ...this.extra, type: `urn:problem:${code}`, title, status, detail: this.message }
  }
}

/** True for a `Problem`, optionally of one kind. */
export function isProblem(error: unknown, kind?: ProblemKind): error is Problem {
  return error instanceof Problem && (kind === undefined || error.kind.code === kind.code)
}
