import * as z from 'zod'
import { defineContract } from '#http'
import { NO_SUCH_RULE, RULE_IN_FILE, TOO_MANY_RULES } from './problems.ts'
import { contentRule, shownRule, trialRequest, trialResult } from './schema.ts'

const name = z.strictObject({ name: z.string().min(1).max(63) })
const rule = shownRule.meta({ id: 'ShownContentRule' })

export const contentContract = defineContract({
  listContentRules: {
    method: 'GET',
    path: '/api/v1/content-rules',
    summary: 'All content rules',
    access: 'admin',
    reply: z.object({ rules: z.array(rule) }),
  },
  getContentRule: {
    method: 'GET',
    path: '/api/v1/content-rules/{name}',
    summary: 'One content rule',
    access: 'admin',
    params: name,
    reply: rule,
    errors: [NO_SUCH_RULE],
  },
  saveContentRule: {
    method: 'POST',
    path: '/api/v1/content-rules',
    summary: 'Make a content rule, or the next version of the one with its name',
    access: 'admin',
    body: contentRule.meta({ id: 'ContentRule' }),
    reply: rule,
    errors: [RULE_IN_FILE, TOO_MANY_RULES],
  },
  removeContentRule: {
    method: 'DELETE',
    path: '/api/v1/content-rules/{name}',
    summary: 'Take a content rule out of force; its versions are kept',
    access: 'admin',
    params: name,
    errors: [NO_SUCH_RULE, RULE_IN_FILE],
  },
  tryContentRules: {
    method: 'POST',
    path: '/api/v1/content-rules/try',
    summary: 'What rules would do to a message; nothing is stored, recorded or sent',
    access: 'admin',
    body: trialRequest,
    reply: trialResult,
    errors: [NO_SUCH_RULE],
  },
})
