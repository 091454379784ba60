import { html } from 'hono/html'
import { readableArguments, type ShownApproval } from '#approvals'
import { form, layout, type Frame, type Html } from './layout.ts'

/** One call that waits: who, which tool, with which arguments. No script: what is shown is what was sealed. */
export function approvePage(
  frame: Frame,
  view: { readonly approval: ShownApproval & { readonly arguments: unknown }; readonly action: string },
): Html {
  const { approval, action } = view
  const { userId, gateway, server, tool, rule, note, expiresAt } = approval
  const body = html`<h1>Allow this call?</h1>
    <p><strong>${userId}</strong> wants to use <strong>${tool}</strong> of <strong>${server}</strong>.</p>
    <p>Gateway ${gateway}, asked for by ${rule}, until ${new Date(expiresAt).toISOString()}.</p>
    ${note === null ? '' : html`<p>${note}</p>`}
    <h2>Arguments</h2>
    <pre>${readableArguments(approval.arguments)}</pre>
    ${form(
      frame,
      action,
      html`<button name="answer" value="approve">Approve once</button>
        <button class="quiet" name="answer" value="deny">Deny</button>`,
    )}`
  return layout(frame, { title: 'Allow this call?', body, isWide: true })
}
