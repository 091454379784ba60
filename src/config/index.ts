/**
 * Reads the configuration file: TOML, with `${env:NAME}` and `${file:/path}` anywhere inside strings, checked by a
 * strict zod schema. Each room writes the schema of its own section; `main` puts them together and calls
 * `loadConfig` once at the start and again on reload.
 *
 * What makes it more than `parse`: every mistake in the file is reported at once, with its line and the nearest right
 * name, and what came through a reference is never shown. TOML parsers give no positions, so `locate.ts` finds
 * the line of a key path by itself. `values.ts` has the zod types that configuration needs again and again.
 */
export { loadConfig } from './load.ts'
export { byteSize, duration, hostPort, secretString, type HostPort } from './values.ts'
export { parseDuration, parseHostPort } from './units.ts'
export { CONFIG_INVALID, CONFIG_MISSING_REFERENCE, CONFIG_SYNTAX, CONFIG_UNREADABLE } from './problems.ts'
