/**
 * What every page says to the browser: no script but ours, no frame around us, nothing told to other sites. Forms may go
 * home only, except where the answer to one leads on to the client that waits for it (browsers hold redirects to
 * `form-action` as well).
 */
export function pageHeaders({ nonce = '', onward = '' } = {}): Readonly<Record<string, string>> {
  const scripts = nonce === '' ? `'none'` : `'nonce-${nonce}'`
  return {
    'content-security-policy': [
      `default-src 'none'`,
      `style-src 'self'`,
      `img-src 'self' data:`,
      `connect-src 'self'`,
      `script-src ${scripts}`,
      `form-action 'self'${onward === '' ? '' : ` ${onward}`}`,
      `frame-ancestors 'none'`,
      `base-uri 'none'`,
    ].join('; '),
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    // Not `no-referrer`: with it, browsers send our own forms with `Origin: null`, and those we refuse.
    'referrer-policy': 'same-origin',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy':
      'publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=()',
    'cache-control': 'no-store',
  }
}

/** What `form-action` must let through so that the answer reaches the client: its origin, or the scheme of its own. */
export function formTarget(redirectUri: string): string {
  const url = new URL(redirectUri)
  const isWeb = url.protocol === 'https:' || url.protocol === 'http:'
  const onward = isWeb ? url.origin : url.protocol
  return /^[a-z][a-z0-9+.-]*:(\/\/[\w.:[\]-]+)?$/i.test(onward) ? onward : ''
}
