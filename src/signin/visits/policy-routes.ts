import type { Hono } from 'hono'
import { Problem } from '#kernel'
import { loginTestRequest } from '#login'
import { loginPolicyPage } from '../pages/login-policy.ts'
import { NOT_LET_IN } from '../problems.ts'
import type { SignInDeps } from '../service.ts'
import { requireAccountEntry } from './entry.ts'
import { visit } from './visit.ts'

/** `/account/login-policy`: administrators try the login policy. */
export function policyRoutes(app: Hono, deps: SignInDeps): void {
  app.get('/account/login-policy', async (context) => {
    const visitor = await visit(deps, context)
    const { account, session, frame } = visitor
    if (account === null || session === null) return context.redirect('/signin?return=%2Faccount%2Flogin-policy', 303)
    if (account.role !== 'admin') throw new Problem(NOT_LET_IN, 'This page is for administrators.')
    await requireAccountEntry(deps, { ...visitor, account, session })
    const { user = '', service = '', from = '', factor = '' } = context.req.query()
    const asked = { user, service, from, factor }
    if (user === '' && service === '') return context.html(loginPolicyPage(frame, { asked, decision: null }))
    const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== ''))
    const request = loginTestRequest.safeParse(given)
    if (request.success) {
      const decision = deps.loginPolicy.test(request.data)
      return context.html(loginPolicyPage(frame, { asked, decision }))
    }
    const trouble = request.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
    context.status(400)
    return context.html(loginPolicyPage(frame, { asked, decision: null, trouble }))
  })
}
