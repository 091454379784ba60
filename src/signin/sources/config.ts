import * as z from 'zod'

const claim = z.string().min(1).max(200)
const domain = z
  .string()
  .max(253)
  .regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'write a domain in lower case, such as example.com')

/** `[[identity_sources]]`: another identity provider whose word is taken for who somebody is. */
export const identitySourceConfig = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'use 1 to 40 of a-z, 0-9 and "-"'),
    /** On its button. */
    title: z.string().min(1).max(60).optional(),
    kind: z.enum(['oidc', 'entra', 'okta', 'google']).default('oidc'),
    issuer: z.url({ protocol: /^https?$/ }).max(2_048),
    /** Hosts and address ranges inside that its metadata may name, beside the issuer's own. */
    allow_hosts: z.array(z.string().min(1).max(256)).max(64).default([]),
    client_id: z.string().min(1).max(512),
    client_secret: z.string().min(1).max(2_048).optional(),
    /** `false`: signs nobody in. */
    enabled: z.boolean().default(true),
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/))
      .max(32)
      .default(['openid', 'profile', 'email']),
    /** What the identity is linked by. Unset: `sub`, at Entra `tid` and `oid`. It must never change and never be given to anybody else. */
    subject_claim: claim.optional(),
    /** What becomes the user id of a new account. */
    user_id_claim: claim.default('email'),
    name_claim: claim.default('name'),
    /** Claims that policies may look at. */
    keep_claims: z.array(claim).max(32).default([]),
    groups_claim: claim.optional(),
    /** Names or ids of groups there, and the groups they are here. */
    group_map: z.record(z.string().max(256), z.string().min(1).max(128)).default({}),
    /** `map`: only what `group_map` names; `all`: others under their own name. */
    groups_from: z.enum(['map', 'all']).default('map'),
    /** For so many days after a sign-in, its groups and claims count; then whoever has not come back has none of them. */
    max_age_days: z.number().int().min(1).max(3_650).default(30),
    /** Domains whose e-mail addresses this source gives out. */
    authoritative_domains: z.array(domain).max(100).default([]),
    /** Whoever signs in there without an account here gets one. */
    auto_create: z.boolean().default(false),
    role: z.enum(['user', 'guest']).default('user'),
    /** Clients may come with its word for whom they act for (ID-JAG), without a browser. */
    accept_id_jag: z.boolean().default(false),
  })
  .superRefine((source, context) => {
    const path = ['issuer']
    const url = new URL(source.issuer)
    if (url.protocol !== 'https:' && !isOwnMachine(url.hostname))
      context.addIssue({ code: 'custom', path, message: 'use https; http is for an issuer on this machine only' })
    if (source.kind === 'entra' && SHARED_TENANTS.test(url.pathname))
      context.addIssue({
        code: 'custom',
        path,
        message:
          'write your own tenant id instead of "common", "organizations" or "consumers": those let in any tenant',
      })
  })
export type IdentitySource = z.output<typeof identitySourceConfig>

/** The claims that together are what people of a source are linked by. */
export function linkedBy({ subject_claim: claim, kind }: Pick<IdentitySource, 'subject_claim' | 'kind'>): string[] {
  if (claim !== undefined) return [claim]
  return kind === 'entra' ? ['tid', 'oid'] : ['sub']
}

/**
 * Two sources of one issuer share their links, so that a person is the same by either. Linked by different claims, one
 * could take somebody for whoever has that value in the other claim. The two names, or null where all fit together.
 */
export function misfits(sources: readonly IdentitySource[]): readonly [string, string] | null {
  for (const [at, one] of sources.entries())
    for (const other of sources.slice(at + 1))
      if (one.issuer === other.issuer && linkedBy(one).join() !== linkedBy(other).join()) return [one.name, other.name]
  return null
}

const SHARED_TENANTS = /^\/(common|organizations|consumers)(\/|$)/i

function isOwnMachine(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}
