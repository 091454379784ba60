import { html } from 'hono/html'
import { alert, field, form, layout, type Frame, type Html } from './layout.ts'
import { passkeyButton, passkeysNeedName } from './passkey-button.ts'

export type SourceButton = { readonly title: string; readonly href: string }

/** Who is there? A name and a password, a passkey alone, or another provider. */
export function signInPage(
  frame: Frame,
  view: {
    /** Where to go afterwards, a path of this house. */
    readonly returnTo: string
    /** The client that waits for it, in the client's own words. */
    readonly forClient?: string | null
    readonly userId?: string
    readonly trouble?: string | null
    readonly sources: readonly SourceButton[]
    /** Somebody proves once more who they are. */
    readonly isAgain?: boolean
  },
): Html {
  const { returnTo, forClient, userId = '', trouble, sources } = view
  const lead = forClient ? html`to continue to <strong>${forClient}</strong>` : 'with your account here'
  const query = `?return=${encodeURIComponent(returnTo)}`
  const body = html`<h1>Sign in</h1>
    <p class="lead">${view.isAgain ? 'once more, to be sure that it is you' : lead}</p>
    ${alert(trouble)}
    ${form(
      frame,
      `/signin${query}`,
      html`${field({ id: 'user', label: 'E-mail address or user name', autocomplete: 'username', value: userId, hasFocus: userId === '' })}
        ${field({ id: 'password', label: 'Password', type: 'password', autocomplete: 'current-password', maxLength: 1024, hasFocus: userId !== '' })}
        <button class="primary" type="submit">Sign in</button>`,
    )}
    ${otherWays(frame, { query, sources })}`
  return layout(frame, { title: 'Sign in', body, usesPasskeys: true })
}

/** Without scripts there are no passkeys, so nothing is said of them then. */
function otherWays(frame: Frame, { query, sources }: { query: string; sources: readonly SourceButton[] }): Html {
  const passkey = passkeyButton(frame, {
    what: 'sign-in',
    label: 'Use a passkey',
    options: '/signin/passkey/options',
    submit: `/signin/passkey${query}`,
  })
  const or = html`<div class="or">or</div>`
  if (sources.length === 0) return html`<div data-passkey-block hidden>${or} ${passkey}</div>`
  const links = sources.map(
    ({ title, href }) => html`<a class="button quiet" href="${href}">Continue with ${title}</a>`,
  )
  return html`${or}
    <div class="stack">${passkey} ${links}</div>`
}

/** The second of two factors. */
export function secondFactorPage(
  frame: Frame,
  view: {
    readonly returnTo: string
    readonly userId: string
    readonly trouble?: string | null
    readonly hasTotp: boolean
    readonly hasPasskey: boolean
  },
): Html {
  const query = `?return=${encodeURIComponent(view.returnTo)}`
  const recovery = form(
    frame,
    `/signin/factor${query}`,
    html`${field({ id: 'recovery', label: 'Recovery code', autocomplete: 'off', isCode: true, maxLength: 64 })}
      <button class="quiet" type="submit">Use this recovery code</button>`,
  )
  const body = html`<h1>Second step</h1>
    <p class="lead">for ${view.userId}</p>
    ${alert(view.trouble)} ${view.hasTotp ? totpForm(frame, query) : ''}
    ${view.hasPasskey ? passkeyStep(frame, { query, isOnly: !view.hasTotp }) : ''}
    <details>
      <summary>Lost your second factor?</summary>
      ${recovery}
    </details>
    <p class="foot"><a href="/signin${query}">Sign in as somebody else</a></p>`
  return layout(frame, { title: 'Second step', body, usesPasskeys: view.hasPasskey })
}

function totpForm(frame: Frame, query: string): Html {
  return form(
    frame,
    `/signin/factor${query}`,
    html`${field({
        id: 'code',
        label: 'Code from your authenticator app',
        autocomplete: 'one-time-code',
        isCode: true,
        hasFocus: true,
        maxLength: 16,
      })}<button class="primary" type="submit">Continue</button>`,
  )
}

function passkeyStep(frame: Frame, { query, isOnly }: { query: string; isOnly: boolean }): Html {
  const button = passkeyButton(frame, {
    what: 'sign-in',
    label: 'Use a passkey',
    options: '/signin/passkey/options',
    submit: `/signin/passkey${query}`,
    kind: isOnly ? 'primary' : 'quiet',
  })
  return html`<div data-passkey-block hidden>${isOnly ? '' : html`<div class="or">or</div>`} ${button}</div>
    ${isOnly ? passkeysNeedName() : ''}`
}
