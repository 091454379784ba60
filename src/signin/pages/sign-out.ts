import { html } from 'hono/html'
import { form, layout, type Frame, type Html } from './layout.ts'

export type SignOutView = {
  readonly action: string
  /** The form is the library's, which knows it by this. */
  readonly token: string
  readonly userId: string | null
  /** In the program's own words. */
  readonly clientName: string | null
  /** Where the person goes from here. */
  readonly onward: string | null
}

/** A program has signed somebody out of itself. Out of this house as well? */
export function signOutPage(frame: Frame, view: SignOutView): Html {
  return view.userId === null ? nobodyPage(frame, view) : askPage(frame, view, view.userId)
}

function askPage(frame: Frame, view: SignOutView, userId: string): Html {
  const asks = view.clientName === null ? '' : html`<strong>${view.clientName}</strong> asks for it. `
  const body = html`<h1>Sign out?</h1>
    <p class="lead">${asks}You are signed in here as <strong>${userId}</strong>.</p>
    ${form(
      frame,
      view.action,
      html`<input type="hidden" name="xsrf" value="${view.token}" />
        <div class="pair">
          <button class="quiet" type="submit">Stay signed in</button>
          <button class="primary" type="submit" name="logout" value="yes">Sign out</button>
        </div>`,
    )}
    ${whereTo(view)}`
  return layout(frame, { title: 'Sign out', body })
}

function nobodyPage(frame: Frame, view: SignOutView): Html {
  const body = html`<h1>You are signed out</h1>
    <p class="lead">Nobody is signed in here at this browser.</p>
    ${form(
      frame,
      view.action,
      html`<input type="hidden" name="xsrf" value="${view.token}" />
        <button class="primary" type="submit" name="logout" value="yes">Go on</button>`,
    )}
    ${whereTo(view)}`
  return layout(frame, { title: 'Signed out', body })
}

function whereTo({ onward }: SignOutView): Html | '' {
  if (onward === null) return ''
  const { protocol, host } = new URL(onward)
  const place = host === '' ? protocol : host
  return html`<p class="foot">From here you go to <strong>${place}</strong>.</p>`
}
