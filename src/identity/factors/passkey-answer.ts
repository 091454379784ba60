import { decodeAttestationObject } from '@simplewebauthn/server/helpers'
import * as z from 'zod'

const base64url = (maxChars: number) =>
  z
    .string()
    .max(maxChars)
    .regex(/^[\w-]+$/)
/** WebAuthn §4: a credential id has at most 1,023 bytes. */
const credentialId = base64url(1_364)
const clientDataJSON = base64url(8_192)
const clientData = z.looseObject({ crossOrigin: z.literal(false).optional() })
const transports = z
  .array(
    z
      .string()
      .max(32)
      .regex(/^[a-z-]+$/),
  )
  .max(10)
const common = { id: credentialId, rawId: credentialId, type: z.literal('public-key') }

const added = z.object({
  ...common,
  response: z.object({
    clientDataJSON,
    attestationObject: base64url(65_536).refine(hasNoCertificate),
    transports: transports.catch([]).default([]),
  }),
})
const signedIn = z.object({
  ...common,
  response: z.object({
    clientDataJSON,
    authenticatorData: base64url(4_096),
    signature: base64url(8_192),
    userHandle: base64url(128).optional().nullable(),
  }),
})

/** What the browser says of a new passkey; null where it is not as it must be. */
export function readAdded(answer: unknown) {
  const { data } = added.safeParse(answer)
  return data === undefined ? null : { ...data, clientExtensionResults: {} }
}

/** What the browser says of a passkey that was used; null where it is not as it must be. */
export function readSignedIn(answer: unknown) {
  const { data } = signedIn.safeParse(answer)
  if (data === undefined) return null
  const { userHandle, ...response } = data.response
  const handle = userHandle == null ? {} : { userHandle }
  return { ...data, response: { ...response, ...handle }, clientExtensionResults: {} }
}

/** False for what a frame in somebody else's page got (WebAuthn §13.4.2): there, nobody sees whom they sign in to. */
export function isOfOnePage({ response }: { response: { clientDataJSON: string } }): boolean {
  try {
    return clientData.safeParse(JSON.parse(Buffer.from(response.clientDataJSON, 'base64url').toString())).success
  } catch {
    return false
  }
}

/** No attestation was asked for, so no certificate is looked at, nor any address in one fetched. */
function hasNoCertificate(attestationObject: string): boolean {
  try {
    const object = decodeAttestationObject(Uint8Array.from(Buffer.from(attestationObject, 'base64url')))
    const statement = object.get('attStmt')
    return ['none', 'packed'].includes(object.get('fmt')) && statement.get('x5c') === undefined
  } catch {
    return false
  }
}
