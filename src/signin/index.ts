/**
 * Where people sign in and look after what speaks for them: pages made on the server, for browsers with and without
 * scripts, and other identity providers whose word is taken (`sources/`).
 *
 * `pages/` holds pure functions from what is to be shown to HTML; `visits/` reads a request of a browser, asks the
 * rooms below through the verbs of `ports.ts`, and answers with one of them. `visits/visit.ts` knows the browser: its
 * session, its form token, its cookies. Every page forbids scripts but its own, frames and strange forms (`app.ts`). A
 * person is somebody at a source by the issuer and a claim that never changes, and never by a name
 * (`sources/claims.ts`).
 */
export { openSignIn, type SignIn } from './open.ts'
export type { AuthorizationServer } from './ports.ts'
export { identitySourceConfig, misfits } from './sources/config.ts'
export { SIGNIN_MIGRATIONS } from './migrations.ts'
export { signInContract } from './contract.ts'
export { signInApiRoutes } from './routes.ts'
export { openBrowserSessions } from './sign-out.ts'
export { gatewayAddressPage, logoutPage, troublePage } from './pages/plain-page.ts'
