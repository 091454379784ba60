/**
 * What may pass. Rules look at what goes to a tool and at everything that comes back, and block it, take parts out,
 * put something else in their place, cut it, add a word, or ask for a person's approval.
 *
 * A rule is data (`schema.ts`), from the config file or the store, with a version that audit records name. All of them
 * are compiled into one immutable set (`rule-set.ts`), swapped whole on every replica (`live-rules.ts`). `screening.ts`
 * finds out cheaply that most messages are of no concern (`quiet.ts`), and has large ones looked through on another
 * thread (`elsewhere.ts`). `screen.ts` is the heart: a message and the rules in scope in, a message and a verdict out,
 * purely; `walk.ts` goes through the message, `detect/` knows numbers and keys by their shapes, `normalise.ts` sees
 * through tricks of writing, and `fit.ts` keeps what was changed valid under its schema. Where the rules are asked is in
 * `tools/call/`.
 *
 * It is a room of its own and no part of `policy`: that decides who may do what, from names; this one reads content.
 */
export { createContent, type Content } from './service.ts'
export { contentRule, type ContentRule } from './schema.ts'
export { findSecrets } from './detect/secrets.ts'
export { validatorFor } from './fit.ts'
export type { Subject } from './scope.ts'
export type { Applied, Message, Screened } from './screen.ts'
export { CONTENT_MIGRATIONS } from './migrations.ts'
export { BLOCKED_INPUT, WITHHELD_OUTPUT } from './problems.ts'
export { contentContract } from './contract.ts'
export { contentRoutes } from './routes.ts'
