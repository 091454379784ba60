import type { StoredValue } from '../contract.ts'

/** `power`: a commit survives a power cut (fsync each time). `process`: it survives `kill -9`, not a power cut. */
export type Durability = 'power' | 'process'

/** What the worker is started with. */
export type WorkerStart = { readonly file: string; readonly durability: Durability }

/** What is asked of the worker. It answers in order, one at a time. There is at most one cursor. */
export type Request =
  | { readonly kind: 'query'; readonly sql: string; readonly parameters: readonly StoredValue[] }
  | { readonly kind: 'append'; readonly sql: string; readonly rows: readonly (readonly StoredValue[])[] }
  | { readonly kind: 'rollback' }
  | { readonly kind: 'open-cursor'; readonly sql: string; readonly parameters: readonly StoredValue[] }
  | { readonly kind: 'fetch'; readonly max: number }
  | { readonly kind: 'close-cursor' }
  | { readonly kind: 'close' }

export type NumberedRequest = { readonly number: number; readonly request: Request }

export type Row = Record<string, unknown>

/** `changed` and `insertId` only after a write without `returning`. */
export type Result = { readonly rows: Row[]; readonly changed?: number; readonly insertId?: number }

export type Reply =
  | { readonly number: number; readonly ok: true; readonly result: Result }
  | { readonly number: number; readonly ok: false; readonly message: string; readonly code: string }
