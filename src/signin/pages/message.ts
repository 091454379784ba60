import { html } from 'hono/html'
import { layout, type Frame, type Html } from './layout.ts'

/** Something that has ended, well or not, and what to do next. It never leads out of this house by itself. */
export function messagePage(
  frame: Frame,
  view: {
    readonly title: string
    readonly text: string
    readonly next?: { readonly label: string; readonly href: string } | null
    readonly reference?: string | null
  },
): Html {
  const { title, text, next, reference } = view
  const body = html`<h1>${title}</h1>
    <p>${text}</p>
    ${next ? html`<a class="button quiet" href="${next.href}">${next.label}</a>` : ''}
    ${reference ? html`<p class="foot">Reference: <code>${reference}</code></p>` : ''}`
  return layout(frame, { title, body })
}
