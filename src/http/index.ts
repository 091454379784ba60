/** The kit for talking HTTP: the guarded way out (`egress`), and contracts as data for the API. */
export type { Egress, EgressClient, EgressPolicy } from './egress.ts'
