/**
 * What every room stands on and what stands on nothing: problems a caller can fix, secrets that cannot leak
 * by accident, ids, the clock, the shape of JSON, codes of system errors, texts with `*`, words for a shell, files that
 * are made once, and how a text is encrypted.
 */
export { decrypt, encrypt } from './aes-gcm.ts'
export { Problem, isProblem, type ProblemKind } from './problem.ts'
export { Secret } from './secret.ts'
export { newId } from './id.ts'
export { systemClock, type Clock } from './clock.ts'
export { isJsonObject, type Json, type JsonObject } from './json.ts'
export { errorCode, unlessCode } from './error-code.ts'
export { canonicalJson } from './canonical-json.ts'
export { keepFile } from './kept-file.ts'
export { matchSegments, wildcard } from './wildcard.ts'
export { shellWord } from './shell-word.ts'
