import * as z from 'zod'
import { defineContract } from '#http'
import { addedGrant, addGrantRequest, grant, grantPage, listGrantsRequest } from './grants/schema.ts'
import { BAD_GRANT, NO_SUCH_GRANT, OPEN_TO_ALL } from './problems.ts'

export const policyContract = defineContract({
  addGrant: {
    method: 'POST',
    path: '/api/v1/grants',
    summary: 'Let somebody use something',
    description: 'The first grant that names a gateway makes it one of default deny.',
    access: 'admin',
    body: addGrantRequest,
    reply: addedGrant,
    status: 201,
    errors: [BAD_GRANT, OPEN_TO_ALL],
  },
  listGrants: {
    method: 'GET',
    path: '/api/v1/grants',
    summary: 'All grants, oldest first',
    access: 'admin',
    query: listGrantsRequest.strict(),
    reply: grantPage,
  },
  removeGrant: {
    method: 'DELETE',
    path: '/api/v1/grants/{id}',
    summary: 'Take a grant back',
    access: 'admin',
    params: z.strictObject({ id: z.string().min(1).max(64) }),
    reply: grant.meta({ id: 'Grant' }),
    errors: [NO_SUCH_GRANT],
  },
})
