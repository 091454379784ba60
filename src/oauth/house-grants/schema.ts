import * as z from 'zod'

const slug = z.string().min(1).max(64)
const address = z.url({ protocol: /^https?$/ }).max(2_048)

/** That a client may bring tokens that people gave it for one gateway, and get ones for another in their name. */
const exchangeWay = z
  .strictObject({ from: slug, to: slug })
  .meta({ id: 'ExchangeWay', description: 'Slugs of two gateways.' })
export type ExchangeWay = Readonly<z.output<typeof exchangeWay>>

/** An authorization server elsewhere to which we vouch for people who use a client, and for what. */
const vouchedAt = z
  .strictObject({
    audience: address.meta({ description: 'The issuer of the authorization server there, to the letter.' }),
    clientId: z.string().min(1).max(512).meta({ description: 'The id that the client has there.' }),
    resources: z.array(address).min(1).max(100).meta({ description: 'Addresses of the servers that it may be for.' }),
  })
  .meta({ id: 'VouchedAt' })
export type VouchedAt = Readonly<z.output<typeof vouchedAt>>

/** What a client may do with what people gave it, besides using it. */
export const exchangeRights = z.object({
  exchange: z.array(exchangeWay).max(100).default([]).meta({
    description: 'Token exchange (RFC 8693): from which gateway to which. Needs the grant token_exchange.',
  }),
  idJag: z.array(vouchedAt).max(20).default([]).meta({
    description: 'Where else it may take our word for who its user is (ID-JAG). Needs the grant token_exchange.',
  }),
})
export type ExchangeRights = Readonly<z.output<typeof exchangeRights>>
export const NO_RIGHTS: ExchangeRights = { exchange: [], idJag: [] }
