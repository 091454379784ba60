/** A server answered and would not have us (HTTP 403). It travels as a cause, behind the words that a caller reads. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
}

/** Whether a server's refusal is what lies behind an error. */
export function isRefusal(error: unknown): boolean {
  return error instanceof Error && error.cause instanceof Refusal
}
