import { html } from 'hono/html'
import { layout, type Frame, type Html } from './layout.ts'

/** What the address of a gateway is for. It is the same for one that does not exist. */
export function gatewayPage(frame: Frame, { url }: { readonly url: string }): Html {
  const body = html`<h1>This address is for a program</h1>
    <p>Give it to Claude Code, Cursor, VS Code or any other MCP client. It will bring you back here to sign in.</p>
    <p><code>${url}</code></p>
    <p class="foot"><a href="/account">Your account</a> shows which programs are connected.</p>`
  return layout(frame, { title: 'An address for programs', body })
}
