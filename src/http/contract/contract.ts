import type * as z from 'zod'
import type { ProblemKind } from '#kernel'
import type { Subject } from './admin-action.ts'

/**
 * One operation as data. `access` says who may use it: `open` anybody, `gateway` whoever has a key of the gateway
 * named in the path (admins as well), `admin` admins, and whom a rule permits `admin:` and the operation's module.
 */
export type Operation = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** `/api/v1/servers/{name}` */
  readonly path: string
  readonly summary: string
  readonly description?: string
  readonly access: Access
  /** The member of the request that names what it is about, where that is less than the whole house. */
  readonly about?: { readonly kind: Subject['kind']; readonly part: Part; readonly member: string }
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodType
  /** Left out: 204, nothing to say. With `stream` it is one line of the answer. */
  readonly reply?: z.ZodType
  /** `ndjson`: one JSON value a line. */
  readonly stream?: 'ndjson'
  readonly status?: 200 | 201
  /** Problems worth knowing; every operation may also answer 400, 401, 403, 415 or 500. */
  readonly errors?: readonly ProblemKind[]
}

export type Access = 'open' | 'gateway' | 'admin'
export type Contract = { readonly [name: string]: Operation }

/** Keeps the exact types of a contract. Names are operation ids, so they are unique in the whole API. */
export function defineContract<const C extends Contract>(contract: C): C {
  return contract
}

type Part = 'params' | 'query' | 'body'
type Parts<O extends Operation> = { [P in Part as O[P] extends z.ZodType ? P : never]: O[P] }

/** What a handler gets: the parts the operation declares, parsed. */
export type Parsed<O extends Operation> = { [P in keyof Parts<O>]: z.output<Extract<Parts<O>[P], z.ZodType>> }
/** What a client sends. */
export type Sent<O extends Operation> = { [P in keyof Parts<O>]: z.input<Extract<Parts<O>[P], z.ZodType>> }
/** What a client receives: one value, or the lines of a stream. */
export type Received<O extends Operation> = O['reply'] extends z.ZodType
  ? O['stream'] extends 'ndjson'
    ? AsyncGenerator<z.output<O['reply']>>
    : z.output<O['reply']>
  : void
/** What a handler answers with; members that the reply does not name are left out on the way. */
export type Answered<O extends Operation> = O['reply'] extends z.ZodType
  ? O['stream'] extends 'ndjson'
    ? AsyncIterable<Deep<z.input<O['reply']>>>
    : Deep<z.input<O['reply']>>
  : void

/** Read-only all the way down, so that frozen values can be answered with. */
type Deep<T> = T extends readonly (infer Item)[]
  ? readonly Deep<Item>[]
  : T extends object
    ? { readonly [K in keyof T]: Deep<T[K]> }
    : T
