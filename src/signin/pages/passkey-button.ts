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

function key(): Html {
  return html`<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" focusable="false">
    <path
      d="M8 4a6 6 0 1 0 5.2 9H15l2 2 2-2 2 2 2-2v-2h-9.8A6 6 0 0 0 8 4m0 4a2 2 0 1 1 0 4 2 2 0 0 1 0-4"
      fill="currentColor"
    />
  </svg>`
}
