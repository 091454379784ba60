/**
 * Decides what a caller may do. Every call and every list asks here (`decide.ts`); no rule means no, and a forbid always
 * wins.
 *
 * *Grants* (`grants/`) are data: somebody may use some tools, at one gateway or at all. *Rules* are policies that people
 * write. Both become Cedar (`cedar/`), and a *snapshot* (`snapshot.ts`) holds all of them at one moment, in memory; a
 * change builds the next one on every replica (`live.ts`). Principals whom no policy tells apart are one *caste*
 * (`caste.ts`), which remembers what was decided: a warm call costs a look-up, and whoever a change does not touch keeps
 * what they had.
 *
 * The admin API (`admin/`) asks here as well: rules can let others do parts of an admin's work, and bind admins.
 *
 * *Hooks* (`hooks/`) are services of the operator that are asked as well: which tools a user may see, before a call goes
 * out, and after its answer came.
 */
export { createPolicy, type Policy, type PolicyRoom } from './service.ts'
export { decideOfAll, type Question, type Verdict } from './decide.ts'
export { describeThing, type Thing } from './thing.ts'
export { readPolicyFiles } from './rules/read-files.ts'
export { POLICY_MIGRATIONS } from './migrations.ts'
export { policyContract } from './contract.ts'
export { policyRoutes } from './routes.ts'
export type { AskedAbout, Found, PlannedCall, Rehearsal, World } from './world.ts'
export { JUDGED_MODULES } from './admin/escalation.ts'
export { createHooks, type Hooks } from './hooks/service.ts'
export type { AskedHook, HookedCall } from './hooks/chain.ts'
export { hookConfig, type HookConfig } from './hooks/schema.ts'
export { HOOK_DENIED, HOOK_FAILED, HOOK_RATE_LIMITED } from './hooks/problems.ts'
export { hooksContract } from './hooks/contract.ts'
export { hooksRoutes } from './hooks/routes.ts'
