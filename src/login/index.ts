/**
 * Who may sign in to what, from where and how strongly proved: the login policy. It stands before every use of a
 * person's or a machine's sign-in: each authorization, refresh, device approval, token exchange and token validation.
 *
 * A rule says when it applies (`schema.ts`) and whether it lets in or not. `decideLogin` (`decide.ts`) is the one pure
 * function: it holds all rules, in order, against a question and says of each whether it hits. The first that hits
 * decides; with none, the default does. The tester shows what it returns, and `mayEnter` enforces the same.
 * Rules stand in the config file, or in the database, where each change is a new version of all of them (`store.ts`);
 * `live-rules.ts` keeps the newest in memory on every replica.
 */
export { createLoginPolicy, type LoginPolicy, type TestedLogin } from './service.ts'
export { loginFactor, loginPolicyConfig, testRequest as loginTestRequest } from './schema.ts'
export type { LoginFactor } from './schema.ts'
export type { LoginDecision } from './decide.ts'
export { LOGIN_MIGRATIONS } from './migrations.ts'
export { loginContract } from './contract.ts'
export { loginRoutes } from './routes.ts'
export { LOGIN_REFUSED } from './problems.ts'
