import { html } from 'hono/html'
import { form, layout, type Frame, type Html } from './layout.ts'

export type ConsentView = {
  readonly action: string
  /** In the client's own words, so it is shown as text and never believed. */
  readonly clientName: string
  readonly clientId: string
  /** Host of the address to which the answer goes; null: on the user's own machine by a scheme of its own. */
  readonly redirectTo: string
  readonly isLocal: boolean
  readonly gateway: string | null
  /** What it asks for, in words. */
  readonly may: readonly string[]
  readonly userId: string
}

/** May this program act for you? */
export function consentPage(frame: Frame, view: ConsentView): Html {
  const { clientName, clientId, redirectTo, isLocal, gateway, may, userId } = view
  const warning = isLocal
    ? 'This is a program on your own machine. Go on only if you have just started it yourself.'
    : 'Go on only if you know this address and have just started this yourself.'
  const body = html`<h1>Allow access?</h1>
    <p class="lead">
      <strong>${clientName}</strong> wants to act for
      you${gateway === null ? '' : html` at <strong>${gateway}</strong>`}.
    </p>
    <dl class="facts">
      <div>
        <dt>The answer goes to</dt>
        <dd>${redirectTo}</dd>
      </div>
      ${
        isWebAddress(clientId)
          ? html`<div>
              <dt>The program says it is</dt>
              <dd>${clientId}</dd>
            </div>`
          : ''
      }
      <div>
        <dt>You are signed in as</dt>
        <dd>${userId}</dd>
      </div>
    </dl>
    <h2>It will be able to</h2>
    <ul class="may">
      ${may.map((item) => html`<li>${item}</li>`)}
    </ul>
    ${form(
      frame,
      view.action,
      html`<div class="pair">
        <button class="quiet" type="submit" name="decision" value="deny">Cancel</button>
        <button class="primary" type="submit" name="decision" value="allow">Allow</button>
      </div>`,
    )}
    <p class="foot">${warning} You can take it back at any time on your <a href="/account">account page</a>.</p>`
  return layout(frame, { title: 'Allow access', body })
}

function isWebAddress(clientId: string): boolean {
  return clientId.startsWith('https://')
}
