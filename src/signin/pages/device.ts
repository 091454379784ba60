import { html } from 'hono/html'
import { alert, field, form, layout, type Frame, type Html } from './layout.ts'

/** Which device? */
export function deviceCodePage(frame: Frame, view: { readonly code?: string; readonly trouble?: string | null }): Html {
  const body = html`<h1>Connect a device</h1>
    <p class="lead">Type the code that the device or the command line shows.</p>
    ${alert(view.trouble)}
    ${form(
      frame,
      '/device',
      html`${field({
          id: 'user_code',
          label: 'Code',
          autocomplete: 'off',
          isCode: true,
          value: view.code ?? '',
          hasFocus: true,
          maxLength: 32,
        })}<button class="primary" type="submit">Continue</button>`,
    )}
    <p class="foot">Never type a code that somebody sent you.</p>`
  return layout(frame, { title: 'Connect a device', body })
}

/** May this device act for you? */
export function deviceApprovalPage(
  frame: Frame,
  view: {
    readonly code: string
    readonly clientName: string
    readonly gateway: string | null
    readonly may: readonly string[]
    readonly userId: string
  },
): Html {
  const { code, clientName, gateway, may, userId } = view
  const body = html`<h1>Allow this device?</h1>
    <p class="lead">
      <strong>${clientName}</strong> wants to act for
      you${gateway === null ? '' : html` at <strong>${gateway}</strong>`}.
    </p>
    <dl class="facts">
      <div>
        <dt>Its code; compare it</dt>
        <dd><code>${code}</code></dd>
      </div>
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
      '/device/approve',
      html`<input type="hidden" name="user_code" value="${code}" />
        <div class="pair">
          <button class="quiet" type="submit" name="decision" value="deny">Cancel</button>
          <button class="primary" type="submit" name="decision" value="allow">Allow</button>
        </div>`,
    )}
    <p class="foot">Go on only if you have the device before you and have just started this yourself.</p>`
  return layout(frame, { title: 'Allow this device', body })
}
