import * as z from 'zod'
import { JWT_BEARER } from '../house-grants/jwt-bearer.ts'
import { exchangeRights } from '../house-grants/schema.ts'
import { CLIENT_CREDENTIALS } from '../house-grants/client-credentials.ts'
import { TOKEN_EXCHANGE } from '../house-grants/token-exchange.ts'

/** What a client may get tokens with, by the names that people type, and as the protocol has them. */
export const GRANT_TYPES = {
  authorization_code: 'authorization_code',
  refresh_token: 'refresh_token',
  device_code: 'urn:ietf:params:oauth:grant-type:device_code',
  token_exchange: TOKEN_EXCHANGE,
  jwt_bearer: JWT_BEARER,
  client_credentials: CLIENT_CREDENTIALS,
} as const satisfies Record<string, string>
const grant = z.enum(Object.keys(GRANT_TYPES) as (keyof typeof GRANT_TYPES)[]) // the keys of a constant object

const DAY_SECONDS = 86_400

/** How the house came to know a client. */
export const origin = z.enum(['registered', 'self-registered', 'metadata-document'])
export type Origin = z.output<typeof origin>

const address = z.string().min(1).max(2_048)

/** RFC 7517; what may be in one is the library's to know. */
const publicKeys = z.strictObject({
  keys: z
    .array(z.record(z.string().max(64), z.json()))
    .min(1)
    .max(10),
})

export const createClientRequest = z.strictObject({
  name: z.string().min(1).max(200).meta({ description: 'What people read when they are asked to allow it.' }),
  redirectUris: z.array(address).max(20).default([]).meta({ description: 'Where answers go, to the letter.' }),
  postLogoutRedirectUris: z.array(address).max(20).default([]).meta({
    description: 'Where a browser may be sent after signing out (OpenID Connect).',
  }),
  backchannelLogoutUri: address.nullable().default(null).meta({
    description: 'Where it is told that somebody signed out (OpenID Connect Back-Channel Logout).',
  }),
  grants: z.array(grant).min(1).max(10).default(['authorization_code', 'refresh_token']),
  isPublic: z.boolean().default(false).meta({
    description: 'It has no secret, as an app on somebody’s computer cannot keep one; PKCE binds its answers to it.',
  }),
  account: z.string().min(1).max(256).nullable().default(null).meta({
    description: 'The system account that it acts as by itself: its id or user id. Needs the grant client_credentials.',
  }),
  jwks: publicKeys.nullable().default(null).meta({
    description: 'Its public keys: it signs (private_key_jwt) in place of sending a secret.',
  }),
  ...exchangeRights.shape,
})
export type CreateClientRequest = z.output<typeof createClientRequest>

/** What is known about how a client works, as it was last seen. */
export const facts = z.object({
  redirectUris: z.array(z.string()),
  postLogoutRedirectUris: z.array(z.string()),
  backchannelLogoutUri: z.string().nullable().default(null),
  grants: z.array(z.string()),
  isPublic: z.boolean(),
  earlierSecretsEnd: z.int().nullable().default(null).meta({
    description: 'When the secrets from before the last rotation end. Milliseconds since 1970; null of none.',
  }),
  authMethod: z.string().default('client_secret_basic').meta({
    description: 'none, client_secret_basic (which may be sent as client_secret_post too) or private_key_jwt.',
  }),
})
export type Facts = z.output<typeof facts>

/** A client as it may be shown: never its secret, nor the hash of it. */
export const client = facts
  .extend({
    id: z.string(),
    name: z.string(),
    origin: origin.meta({
      description:
        'registered: an admin made it. self-registered: RFC 7591. metadata-document: its id is where its document is.',
    }),
    account: z.string().nullable().meta({ description: 'The user id of the system account that it acts as.' }),
    ...exchangeRights.shape,
    createdAt: z.int().meta({ description: 'Of a client with a document: when it first got a token.' }),
    lastUsedAt: z.int().nullable().meta({ description: 'When it last got a token, exact to a minute.' }),
  })
  .meta({ id: 'OAuthClient' })
export type Client = Readonly<z.output<typeof client>>

/** `secret` is told here once and never again; null of a client that has none. */
export const createdClient = z.object({ ...client.shape, secret: z.string().nullable() })
export type CreatedClient = Readonly<z.output<typeof createdClient>>

export const rotateSecretRequest = z.strictObject({
  overlapSeconds: z
    .int()
    .min(0)
    .max(30 * DAY_SECONDS)
    .default(DAY_SECONDS)
    .meta({
      description: 'So long secrets from before are taken beside the new one; 0 ends them at once.',
    }),
})
export type RotateSecretRequest = z.output<typeof rotateSecretRequest>

export const listClientsRequest = z.strictObject({
  cursor: z.string().max(2_200).optional().meta({ description: 'The `next` of the page before.' }),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
})
export type ListClientsRequest = z.output<typeof listClientsRequest>

export const clientPage = z.object({ clients: z.array(client), next: z.string().nullable() })
export type ClientPage = Readonly<z.output<typeof clientPage>>
