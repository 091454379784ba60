import { html } from 'hono/html'

/** A piece of a page: everything put into it was escaped, unless it was such a piece itself. */
export type Html = ReturnType<typeof html>

/** What every page is made with. */
export type Frame = {
  /** Allows the scripts of this very answer and no other. */
  readonly nonce: string
  /** Proves that a form was sent from this page by this browser. */
  readonly csrf: string
  /** Address of the style sheet; it changes with its content. */
  readonly style: string
  readonly scripts: { readonly passkey: string; readonly library: string }
}

/** A whole page around a card. `wide`: for lists. */
export function layout(
  frame: Frame,
  page: { readonly title: string; readonly body: Html; readonly isWide?: boolean; readonly usesPasskeys?: boolean },
): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        <title>${page.title} · Gatehouse</title>
        <link rel="stylesheet" href="${frame.style}" />
        <link rel="icon" href="data:," />
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">${mark()}<span>Gatehouse</span></header>
        <main id="main" class="${page.isWide ? 'wide' : 'card'}">${page.body}</main>
        ${page.usesPasskeys ? passkeyScripts(frame) : ''}
      </body>
    </html>`
}

/** A gate in a wall. */
function mark(): Html {
  return html`<svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
    <path d="M4 28V9h4V5h4v4h8V5h4v4h4v19h-7v-7a5 5 0 0 0-10 0v7z" fill="currentColor" />
  </svg>`
}

function passkeyScripts(frame: Frame): Html {
  return html`<script nonce="${frame.nonce}" src="${frame.scripts.library}"></script>
    <script nonce="${frame.nonce}" src="${frame.scripts.passkey}"></script>`
}

/** The start of every form: where it goes, and the proof that it is ours. */
export function form(frame: Frame, action: string, fields: Html): Html {
  return html`<form method="post" action="${action}">
    <input type="hidden" name="csrf" value="${frame.csrf}" />
    ${fields}
  </form>`
}

/** A form that is one button. */
export function buttonForm(
  frame: Frame,
  {
    action,
    label,
    name,
    value,
    kind = 'quiet',
    about,
  }: {
    readonly action: string
    readonly label: string
    readonly name?: string
    readonly value?: string
    readonly kind?: 'primary' | 'quiet' | 'danger'
    /** Said to those who do not see what stands beside the button. */
    readonly about?: string
  },
): Html {
  const hidden = name === undefined ? '' : html`<input type="hidden" name="${name}" value="${value ?? ''}" />`
  return form(
    frame,
    action,
    html`${hidden}<button class="${kind}" type="submit">
        ${label}${about === undefined ? '' : html`<span class="unseen"> ${about}</span>`}
      </button>`,
  )
}

/** A labelled input. */
export function field(input: {
  readonly id: string
  readonly label: string
  readonly type?: 'text' | 'password' | 'email'
  readonly value?: string
  readonly autocomplete: string
  readonly hint?: string
  readonly isCode?: boolean
  readonly hasFocus?: boolean
  readonly minLength?: number
  readonly maxLength?: number
}): Html {
  const {
    id,
    label,
    type = 'text',
    value = '',
    autocomplete,
    hint,
    isCode,
    hasFocus,
    minLength,
    maxLength = 256,
  } = input
  const code = isCode ? html` class="code" spellcheck="false"` : ''
  const numeric = autocomplete === 'one-time-code' ? html` inputmode="numeric"` : ''
  return html`<div class="field">
    <label for="${id}">${label}</label>
    <input
      id="${id}"
      name="${id}"
      type="${type}"
      value="${value}"
      autocomplete="${autocomplete}"
      maxlength="${maxLength}"
      autocapitalize="none"
      required${minLength === undefined ? '' : html` minlength="${minLength}"`}${code}${numeric}${
        hasFocus ? html` autofocus` : ''
      }${hint === undefined ? '' : html` aria-describedby="${id}-hint"`}
    />
    ${hint === undefined ? '' : html`<p class="hint" id="${id}-hint">${hint}</p>`}
  </div>`
}

/** What went wrong, read out at once. */
export function alert(text: string | null | undefined): Html | '' {
  return text ? html`<p class="alert" role="alert">${text}</p>` : ''
}

/** What went well. */
export function notice(text: string | null | undefined): Html | '' {
  return text ? html`<p class="notice" role="status">${text}</p>` : ''
}

/** `25 November 2026, 21:04 UTC`, readable by machines too. */
export function moment(at: number): Html {
  const date = new Date(at)
  const text = date.toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' })
  return html`<time datetime="${date.toISOString()}">${text} UTC</time>`
}
