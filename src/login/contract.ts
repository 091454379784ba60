import * as z from 'zod'
import { defineContract } from '#http'
import { BAD_LOGIN_RULE, LOGIN_POLICY_CHANGED, LOGIN_RULE_FROM_FILE, NO_SUCH_LOGIN_RULE } from './problems.ts'
import { decisionReply, loginRule, policyVersion, shownPolicy, testRequest } from './schema.ts'

const policy = shownPolicy.meta({ id: 'LoginPolicy' })
const ruleId = z.strictObject({ id: z.string().min(1).max(64) })

export const loginContract = defineContract({
  getLoginPolicy: {
    method: 'GET',
    path: '/api/v1/login-policy',
    summary: 'The rules of the login policy, in their order',
    access: 'admin',
    reply: policy,
  },
  addLoginRule: {
    method: 'POST',
    path: '/api/v1/login-policy/rules',
    summary: 'Add a rule to the login policy',
    access: 'admin',
    body: loginRule,
    reply: policy,
    status: 201,
    errors: [BAD_LOGIN_RULE, LOGIN_POLICY_CHANGED],
  },
  removeLoginRule: {
    method: 'DELETE',
    path: '/api/v1/login-policy/rules/{id}',
    summary: 'Remove a rule from the login policy',
    access: 'admin',
    params: ruleId,
    reply: policy,
    errors: [NO_SUCH_LOGIN_RULE, LOGIN_RULE_FROM_FILE, LOGIN_POLICY_CHANGED],
  },
  listLoginPolicyVersions: {
    method: 'GET',
    path: '/api/v1/login-policy/versions',
    summary: 'What the rules in the database were, newest first',
    access: 'admin',
    reply: z.object({ versions: z.array(policyVersion) }),
  },
  testLoginPolicy: {
    method: 'POST',
    path: '/api/v1/login-policy/test',
    summary: 'What the login policy says of a user and a service',
    description: 'Every rule as hit, miss or unknown, and which one decides. It is the function that enforces.',
    access: 'admin',
    body: testRequest,
    reply: decisionReply,
  },
})
