import { html } from 'hono/html'
import { alert, buttonForm, layout, moment, notice, type Frame, type Html } from './layout.ts'

export type AccountView = {
  readonly userId: string
  readonly name: string | null
  readonly role: string
  readonly groups: readonly string[]
  readonly hasPassword: boolean
  readonly hasTotp: boolean
  readonly passkeys: readonly {
    readonly id: string
    readonly name: string
    readonly createdAt: number
    readonly lastUsedAt: number | null
  }[]
  readonly recoveryCodesLeft: number
  readonly sessions: readonly {
    readonly id: string
    readonly agent: string
    readonly address: string
    readonly signedInAt: number
    readonly lastSeenAt: number
    readonly isThis: boolean
  }[]
  readonly keys: readonly {
    readonly id: string
    readonly name: string | null
    readonly gateways: readonly string[]
    readonly lastUsedAt: number | null
    readonly expiresAt: number | null
  }[]
  readonly notices: readonly {
    readonly id: string
    readonly clientName: string
    readonly reused: string
    readonly address: string
    readonly at: number
  }[]
  readonly clients: readonly {
    readonly grantId: string
    readonly name: string
    readonly gateways: readonly string[]
    readonly grantedAt: number
  }[]
  readonly links: readonly { readonly source: string; readonly title: string; readonly linkedAt: number }[]
  readonly linkable: readonly { readonly title: string; readonly href: string }[]
  readonly trouble?: string | null
  readonly done?: string | null
}

/** Everything that can speak for somebody, and the way to end each. */
export function accountPage(frame: Frame, view: AccountView): Html {
  const groups = view.groups.length === 0 ? '' : html` · ${view.groups.join(', ')}`
  const body = html`<header>
      <div>
        <h1>${view.name ?? view.userId}</h1>
        <p class="lead">${view.name === null ? '' : html`${view.userId} · `}${view.role}${groups}</p>
      </div>
      ${buttonForm(frame, { action: '/account/sign-out', label: 'Sign out' })}
    </header>
    ${alert(view.trouble)} ${notice(view.done)} ${notices(frame, view)} ${factors(frame, view)} ${sessions(frame, view)}
    ${clients(frame, view)} ${keys(frame, view)} ${links(frame, view)}
    ${view.role === 'admin' ? html`<p class="foot"><a href="/account/login-policy">Try the login policy</a></p>` : ''}`
  return layout(frame, { title: 'Your account', body, isWide: true })
}

function notices(frame: Frame, view: AccountView): Html | '' {
  if (view.notices.length === 0) return ''
  return html`<section aria-labelledby="notices">
    <h2 id="notices">Please read</h2>
    <ul class="rows">
      ${view.notices.map(
        ({ id, clientName, reused, address, at }) =>
          html`<li>
            <div>
              The access of ${clientName} was ended.
              <p class="meta">
                On ${moment(at)} an old ${reused} of it was used again, from ${address}. Somebody else may have a copy
                of it. If you trust the program and the place it runs in, connect it again; nothing else is to be done.
              </p>
            </div>
            ${buttonForm(frame, { action: '/account/notices/dismiss', label: 'I have read it', name: 'id', value: id, about: `about ${clientName}` })}
          </li>`,
      )}
    </ul>
  </section>`
}

function factors(frame: Frame, view: AccountView): Html {
  return html`<section aria-labelledby="factors">
    <h2 id="factors">How you sign in</h2>
    <ul class="rows">
      ${view.passkeys.map(
        ({ id, name, createdAt, lastUsedAt }) =>
          html`<li>
            <div>
              Passkey: ${name}
              <p class="meta">
                added ${moment(createdAt)}${lastUsedAt === null ? '' : html`, used ${moment(lastUsedAt)}`}
              </p>
            </div>
            ${buttonForm(frame, { action: '/account/passkeys/remove', label: 'Remove', name: 'id', value: id, kind: 'danger', about: `the passkey ${name}` })}
          </li>`,
      )}
      <li>
        <div>
          Password
          <p class="meta">${view.hasPassword ? 'set' : 'not set'}</p>
        </div>
        <a class="button quiet" href="/account/password"
          >${view.hasPassword ? 'Change' : 'Set'}<span class="unseen"> the password</span></a
        >
      </li>
      <li>
        <div>
          Authenticator app
          <p class="meta">${view.hasTotp ? 'in use' : 'not in use'}</p>
        </div>
        ${
          view.hasTotp
            ? buttonForm(frame, {
                action: '/account/totp/remove',
                label: 'Remove',
                kind: 'danger',
                about: 'the authenticator app',
              })
            : html`<a class="button quiet" href="/account/totp"
                >Add<span class="unseen"> an authenticator app</span></a
              >`
        }
      </li>
      <li>
        <div>
          Recovery codes
          <p class="meta">${view.recoveryCodesLeft} left</p>
        </div>
        ${buttonForm(frame, { action: '/account/recovery-codes', label: 'Make new ones', about: 'of the recovery codes' })}
      </li>
    </ul>
    <div class="actions"><a class="button quiet" href="/account/passkey">Add a passkey</a></div>
  </section>`
}

function sessions(frame: Frame, view: AccountView): Html {
  return html`<section aria-labelledby="sessions">
    <h2 id="sessions">Where you are signed in</h2>
    <ul class="rows">
      ${view.sessions.map(
        ({ id, agent, address, signedInAt, lastSeenAt, isThis }) =>
          html`<li>
            <div>
              ${agent}${isThis ? html`<span class="badge">this one</span>` : ''}
              <p class="meta">${address} · since ${moment(signedInAt)} · seen ${moment(lastSeenAt)}</p>
            </div>
            ${isThis ? '' : buttonForm(frame, { action: '/account/sessions/end', label: 'End', name: 'id', value: id, kind: 'danger', about: `the session of ${agent}` })}
          </li>`,
      )}
    </ul>
    ${
      view.sessions.length > 1
        ? html`<div class="actions">
            ${buttonForm(frame, { action: '/account/sessions/end-others', label: 'End all others', kind: 'danger' })}
          </div>`
        : ''
    }
  </section>`
}

function clients(frame: Frame, view: AccountView): Html {
  return html`<section aria-labelledby="clients">
    <h2 id="clients">Connected programs</h2>
    ${view.clients.length === 0 ? html`<p class="meta">None. They appear here once you have allowed one.</p>` : ''}
    <ul class="rows">
      ${view.clients.map(
        ({ grantId, name, gateways, grantedAt }) =>
          html`<li>
            <div>
              ${name}
              <p class="meta">${gateways.join(', ') || 'no gateway'} · since ${moment(grantedAt)}</p>
            </div>
            ${buttonForm(frame, { action: '/account/clients/revoke', label: 'Disconnect', name: 'id', value: grantId, kind: 'danger', about: name })}
          </li>`,
      )}
    </ul>
  </section>`
}

function keys(frame: Frame, view: AccountView): Html {
  return html`<section aria-labelledby="keys">
    <h2 id="keys">API keys</h2>
    ${view.keys.length === 0 ? html`<p class="meta">None.</p>` : ''}
    <ul class="rows">
      ${view.keys.map(
        ({ id, name, gateways, lastUsedAt, expiresAt }) =>
          html`<li>
            <div>
              ${name ?? id}
              <p class="meta">
                ${gateways.includes('*') ? 'every gateway' : gateways.join(', ')} ·
                ${lastUsedAt === null ? 'never used' : html`used ${moment(lastUsedAt)}`}${
                  expiresAt === null ? '' : html` · ends ${moment(expiresAt)}`
                }
              </p>
            </div>
            ${buttonForm(frame, { action: '/account/keys/revoke', label: 'Revoke', name: 'id', value: id, kind: 'danger', about: `the key ${name ?? id}` })}
          </li>`,
      )}
    </ul>
  </section>`
}

function links(frame: Frame, view: AccountView): Html | '' {
  if (view.links.length === 0 && view.linkable.length === 0) return ''
  return html`<section aria-labelledby="links">
    <h2 id="links">Other providers</h2>
    <ul class="rows">
      ${view.links.map(
        ({ source, title, linkedAt }) =>
          html`<li>
            <div>
              ${title}
              <p class="meta">linked ${moment(linkedAt)}</p>
            </div>
            ${buttonForm(frame, { action: '/account/links/remove', label: 'Unlink', name: 'source', value: source, kind: 'danger', about: title })}
          </li>`,
      )}
      ${view.linkable.map(
        ({ title, href }) =>
          html`<li>
            <div>
              ${title}
              <p class="meta">not linked</p>
            </div>
            <a class="button quiet" href="${href}">Link<span class="unseen"> ${title}</span></a>
          </li>`,
      )}
    </ul>
  </section>`
}
