import { html } from 'hono/html'
import { MIN_PASSWORD_CHARS } from '../visits/choose-password.ts'
import { alert, buttonForm, field, form, layout, type Frame, type Html } from './layout.ts'
import { passkeyButton, passkeysNeedName } from './passkey-button.ts'

/** A new password for somebody who has just proved who they are. */
export function passwordPage(frame: Frame, view: { readonly userId: string; readonly trouble?: string | null }): Html {
  const body = html`<h1>Password</h1>
    <p class="lead">Your sessions elsewhere end when you change it.</p>
    ${alert(view.trouble)}
    ${form(
      frame,
      '/account/password',
      html`<input
          class="unseen"
          type="text"
          name="username"
          value="${view.userId}"
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
          minLength: MIN_PASSWORD_CHARS,
          maxLength: 1024,
          hasFocus: true,
          hint: `At least ${MIN_PASSWORD_CHARS} characters. Several words in a row are good.`,
        })}
        ${field({
          id: 'again',
          label: 'Once more',
          type: 'password',
          autocomplete: 'new-password',
          minLength: MIN_PASSWORD_CHARS,
          maxLength: 1024,
        })}<button class="primary" type="submit">Save</button>`,
    )}
    <p class="foot"><a href="/account">Back to your account</a></p>`
  return layout(frame, { title: 'Password', body })
}

/** One more passkey. */
export function addPasskeyPage(frame: Frame): Html {
  const body = html`<h1>Add a passkey</h1>
    <p class="lead">Your fingerprint, face or PIN on this device, or a security key.</p>
    ${field({ id: 'passkey-name', label: 'A name for it', autocomplete: 'off', value: 'My passkey', maxLength: 60 })}
    ${passkeyButton(frame, {
      what: 'register',
      label: 'Create the passkey',
      options: '/account/passkey/options',
      submit: '/account/passkey',
      kind: 'primary',
    })}
    ${passkeysNeedName()}
    <p class="foot"><a href="/account">Back to your account</a></p>`
  return layout(frame, { title: 'Add a passkey', body, usesPasskeys: true })
}

/** Before the old codes end. */
export function makeCodesPage(frame: Frame, view: { readonly isFirst: boolean }): Html {
  const body = html`<h1>Recovery codes</h1>
    <p class="lead">
      ${view.isFirst ? 'They let you in if you lose your phone or your passkey.' : 'Codes that you had before stop working.'}
    </p>
    ${buttonForm(frame, { action: '/account/recovery-codes', label: 'Make recovery codes', kind: 'primary' })}
    <p class="foot"><a href="/account">${view.isFirst ? 'Later' : 'Back to your account'}</a></p>`
  return layout(frame, { title: 'Recovery codes', body })
}
