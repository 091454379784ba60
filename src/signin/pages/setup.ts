import { html, raw } from 'hono/html'
import { renderSVG } from 'uqr'
import { MIN_PASSWORD_CHARS as MIN_PASSWORD } from '../visits/choose-password.ts'
import { alert, field, form, layout, type Frame, type Html } from './layout.ts'
import { passkeyButton, passkeysNeedName } from './passkey-button.ts'

/** The first steps with a new account: a password or a passkey. */
export function setupPage(
  frame: Frame,
  view: {
    readonly action: string
    readonly userId: string
    readonly isFirstAdmin: boolean
    readonly trouble?: string | null
  },
): Html {
  const { action, userId, isFirstAdmin, trouble } = view
  const body = html`<h1>${isFirstAdmin ? 'Welcome to Gatehouse' : 'Set up your account'}</h1>
    <p class="lead">
      ${isFirstAdmin ? 'You are its first administrator' : 'Choose how you will sign in'}, as
      <strong>${userId}</strong>.
    </p>
    ${alert(trouble)} ${passkeyFirst(frame, action)}
    ${form(
      frame,
      action,
      html`<input
          class="unseen"
          type="text"
          name="username"
          value="${userId}"
          autocomplete="username"
          readonly
          tabindex="-1"
          aria-hidden="true"
        />
        ${field({
          id: 'password',
          label: 'New password',
          type: 'password',
          autocomplete: 'new-password',
          minLength: MIN_PASSWORD,
          maxLength: 1024,
          hint: `At least ${MIN_PASSWORD} characters. Several words in a row are good.`,
        })}
        ${field({
          id: 'again',
          label: 'Once more',
          type: 'password',
          autocomplete: 'new-password',
          minLength: MIN_PASSWORD,
          maxLength: 1024,
        })}<button class="quiet" type="submit">Set the password</button>`,
    )}
    ${passkeysNeedName()}`
  return layout(frame, { title: 'Set up', body, usesPasskeys: true })
}

function passkeyFirst(frame: Frame, action: string): Html {
  return html`<div data-passkey-block hidden>
    ${passkeyButton(frame, {
      what: 'register',
      label: 'Create a passkey',
      options: `${action}/passkey/options`,
      submit: `${action}/passkey`,
      kind: 'primary',
    })}
    <p class="hint">The strongest way: your fingerprint, face or PIN, and nothing to remember.</p>
    <div class="or">or a password</div>
  </div>`
}

/** A second factor for an authenticator app. */
export function totpPage(
  frame: Frame,
  view: {
    readonly action: string
    readonly uri: string
    readonly secret: string
    readonly trouble?: string | null
    readonly skip?: { readonly href: string; readonly label: string }
  },
): Html {
  const { action, uri, secret, trouble, skip } = view
  const body = html`<h1>Authenticator app</h1>
    <p class="lead">Scan this with an app such as Aegis, 1Password or Google Authenticator.</p>
    ${alert(trouble)} ${qr(uri)}
    <details>
      <summary>Type it instead</summary>
      <p>Key: <code>${secret.replaceAll(/(.{4})(?=.)/g, '$1 ')}</code></p>
      <p><a href="${uri}">Open the app on this device</a></p>
    </details>
    <div class="or">then</div>
    ${form(
      frame,
      action,
      html`${field({
          id: 'code',
          label: 'The code it shows now',
          autocomplete: 'one-time-code',
          isCode: true,
          maxLength: 16,
        })}<button class="primary" type="submit">Confirm</button>`,
    )}
    ${skip === undefined ? '' : html`<p class="foot"><a href="${skip.href}">${skip.label}</a></p>`}`
  return layout(frame, { title: 'Authenticator app', body })
}

/** The library writes plain shapes and numbers only; nothing of the text stands in the picture. */
function qr(text: string): Html {
  const svg = renderSVG(text, { border: 1 }).replace('<svg ', '<svg class="qr" role="img" aria-label="QR code" ')
  return html`${raw(svg)}`
}

/** Shown once. */
export function recoveryCodesPage(
  frame: Frame,
  view: { readonly codes: readonly string[]; readonly next: { readonly href: string; readonly label: string } },
): Html {
  const body = html`<h1>Recovery codes</h1>
    <p class="lead">
      Each lets you in once if you lose your other factors. Print them or keep them in a password manager: they are not
      shown again.
    </p>
    <ul class="codes">
      ${view.codes.map((code) => html`<li>${code}</li>`)}
    </ul>
    <a class="button primary" href="${view.next.href}">${view.next.label}</a>`
  return layout(frame, { title: 'Recovery codes', body })
}
