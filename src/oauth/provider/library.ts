/**
 * `oidc-provider`, imported here and nowhere else. It prints a warning when it is loaded under a Node that is not yet
 * marked as a long-term release, which the pinned one is not; its own tests pass on it, and every command of the house
 * would begin with that line. Ends with the first pinned Node that is marked.
 */
/* eslint-disable no-console -- it is the library that prints */
const { warn } = console
console.warn = (...words: unknown[]) => {
  if (!String(words[0]).includes('Unsupported runtime')) warn(...words)
}
const library = await import('oidc-provider').finally(() => (console.warn = warn))

export const { default: Provider, errors, interactionPolicy } = library
