import { createSecureContext } from 'node:tls'
import type { EgressTls } from '#http'

/** What a hook's configuration says of TLS: who we are (RFC 8446 §4.3.2), and who signed for the hook. */
export type TlsOfHook = {
  readonly url: string
  readonly client_cert?: string | undefined
  readonly client_key?: string | undefined
  readonly ca?: string | undefined
}

export function tlsOf({ client_cert: cert, client_key: key, ca }: TlsOfHook): EgressTls | null {
  return cert === undefined && ca === undefined ? null : { cert, key, ca }
}

/** What is wrong with it, and at which key; null when a connection can be made with it. Repeats nothing of what it reads. */
export function whyNoTls(hook: TlsOfHook): { key: keyof TlsOfHook; message: string } | null {
  const { url, client_cert: cert, client_key: key, ca } = hook
  if (cert === undefined && key === undefined && ca === undefined) return null
  if (!url.startsWith('https:'))
    return { key: 'url', message: 'has to begin with https: where a certificate is to be shown or checked' }
  if (cert !== undefined && key === undefined) return { key: 'client_key', message: '"client_cert" needs it' }
  if (cert === undefined && key !== undefined) return { key: 'client_cert', message: '"client_key" needs it' }
  if (!isPem({ ca })) return { key: 'ca', message: 'is no certificate in PEM; write "${file:/path.pem}"' }
  if (!isPem({ cert })) return { key: 'client_cert', message: 'is no certificate in PEM; write "${file:/path.pem}"' }
  if (isPem({ cert, key })) return null
  return { key: 'client_key', message: 'is no key in PEM without a password, or not the key of "client_cert"' }
}

function isPem({ cert, key, ca }: EgressTls): boolean {
  if (ca !== undefined && !ca.includes('-----BEGIN CERTIFICATE-----')) return false
  try {
    const own = { ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }) }
    createSecureContext({ ...own, ...(ca === undefined ? {} : { ca }) })
    return true
  } catch {
    return false
  }
}
