import * as z from 'zod'
import { defineContract } from '#http'
import { BAD_ACCOUNT, BAD_GROUP, NO_SUCH_ACCOUNT, NO_SUCH_GROUP, USER_ID_TAKEN } from '../problems.ts'
import {
  account,
  accountPage,
  createAccountRequest,
  group,
  groupName,
  listAccountsRequest,
  updateAccountRequest,
} from './schema.ts'

const one = z.strictObject({
  account: z.string().min(1).max(256).meta({ description: 'The id of the account, or its user id.' }),
})
const named = z.strictObject({ group: z.string().min(1).max(200) })
const membership = named.extend(one.shape)

export const accountsContract = defineContract({
  createAccount: {
    method: 'POST',
    path: '/api/v1/accounts',
    summary: 'Make an account',
    description: 'A user id is never given twice, not even after its account was removed.',
    access: 'admin',
    body: createAccountRequest,
    reply: account,
    status: 201,
    errors: [BAD_ACCOUNT, USER_ID_TAKEN],
  },
  listAccounts: {
    method: 'GET',
    path: '/api/v1/accounts',
    summary: 'All accounts, oldest first',
    access: 'admin',
    query: listAccountsRequest.strict(),
    reply: accountPage,
  },
  showAccount: {
    method: 'GET',
    path: '/api/v1/accounts/{account}',
    summary: 'One account',
    access: 'admin',
    params: one,
    reply: account,
    errors: [NO_SUCH_ACCOUNT],
  },
  updateAccount: {
    method: 'POST',
    path: '/api/v1/accounts/{account}',
    summary: 'Change an account, or make it active or inactive',
    description: 'What is left out stays. An inactive account is refused everywhere at once, with all its keys.',
    access: 'admin',
    params: one,
    body: updateAccountRequest,
    reply: account,
    errors: [BAD_ACCOUNT, NO_SUCH_ACCOUNT],
  },
  removeAccount: {
    method: 'DELETE',
    path: '/api/v1/accounts/{account}',
    summary: 'End an account for good',
    access: 'admin',
    params: one,
    errors: [NO_SUCH_ACCOUNT],
  },
  createGroup: {
    method: 'POST',
    path: '/api/v1/groups',
    summary: 'Make a group',
    access: 'admin',
    body: z.strictObject({ name: groupName }),
    errors: [BAD_GROUP],
  },
  listGroups: {
    method: 'GET',
    path: '/api/v1/groups',
    summary: 'All groups, by name',
    access: 'admin',
    reply: z.object({ groups: z.array(group) }),
  },
  removeGroup: {
    method: 'DELETE',
    path: '/api/v1/groups/{group}',
    summary: 'Remove a group with all its memberships',
    access: 'admin',
    params: named,
    errors: [NO_SUCH_GROUP],
  },
  addGroupMember: {
    method: 'PUT',
    path: '/api/v1/groups/{group}/members/{account}',
    summary: 'Put an account into a group',
    access: 'admin',
    params: membership,
    reply: account,
    errors: [NO_SUCH_GROUP, NO_SUCH_ACCOUNT],
  },
  removeGroupMember: {
    method: 'DELETE',
    path: '/api/v1/groups/{group}/members/{account}',
    summary: 'Take an account out of a group',
    description: 'Only a membership that was given here; one of an upstream source is taken away there.',
    access: 'admin',
    params: membership,
    reply: account,
    errors: [NO_SUCH_GROUP, NO_SUCH_ACCOUNT],
  },
})
