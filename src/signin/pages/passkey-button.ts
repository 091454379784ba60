import { html } from 'hono/html'
import type { Frame, Html } from './layout.ts'

/** A button for a passkey; it shows itself where the browser has passkeys at all. */
export function passkeyButton(
  frame: Frame,
  {
    what,
    label,
    options,
    submit,
    kind = 'quiet',
  }: {
    readonly what: 'sign-in' | 'register'
    readonly label: string
    readonly options: string
    readonly submit: string
    readonly kind?: 'primary' | 'quiet'
  },
): Html {
  return html`<button
      class="${kind}"
      type="button"
      hidden
      data-passkey="${what}"
      data-options="${options}"
      data-submit="${submit}"
      data-csrf="${frame.csrf}"
    >
      ${key()} ${label}
    </button>
    <p class="alert" role="alert" id="passkey-trouble" hidden></p>`
}

/** Why there is no such button; it shows itself where the house is reached at a bare IP address. */
export function passkeysNeedName(): Html {
  return html`<p class="hint" data-passkey-nameless hidden>
    No passkeys here: they need a name in the address of this house, and this one is an IP address. An administrator can
    give it one with <code>server.public_url</code>; on its own machine <code>http://localhost</code> with the port is
    enough.
  </p>`
}

function key(): Html {
  return html`<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" focusable="false">
    <path
      d="M8 4a6 6 0 1 0 5.2 9H15l2 2 2-2 2 2 2-2v-2h-9.8A6 6 0 0 0 8 4m0 4a2 2 0 1 1 0 4 2 2 0 0 1 0-4"
      fill="currentColor"
    />
  </svg>`
}
