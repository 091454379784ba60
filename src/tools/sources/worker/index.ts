/**
 * Workers: servers that speak the Arcade worker protocol, three plain HTTP routes under `/worker`.
 *
 * `wire.ts` knows the routes and what each failure of theirs means, `token.ts` signs the bearer token from the shared
 * secret, `schema.ts` reads what a worker says. `definition.ts` turns a worker's tool into an MCP tool, `result.ts` its
 * answer into an MCP result; `source.ts` joins them. A worker keeps no session, so there is nothing to end.
 */
export { createWorkerSource } from './source.ts'
