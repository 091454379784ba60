import { html } from 'hono/html'
import type { JsonObject } from '#kernel'
import type { Preview } from '../sources/service.ts'
import { layout, type Frame, type Html } from './layout.ts'

/** Who somebody would be here, before a source is switched on. */
export function previewPage(
  frame: Frame,
  view: { readonly source: string; readonly claims: JsonObject; readonly preview: Preview },
): Html {
  const { source, claims, preview } = view
  const { reading, userId, outcome, reason } = preview
  const person = reading.ok ? reading.person : null
  const body = html`<header>
      <div>
        <h1>${userId === null ? 'You would not be let in' : html`You would be: ${userId}`}</h1>
        <p class="lead">
          by the identity source “${source}”. ${WORDS[outcome]}${reason === null ? '' : html` ${reason}.`}
        </p>
      </div>
    </header>
    ${
      person === null
        ? ''
        : html`<section>
            <h2>As this house reads it</h2>
            <dl class="facts">
              <div>
                <dt>Linked by</dt>
                <dd>${person.issuer} · ${person.subject}</dd>
              </div>
              <div>
                <dt>Name</dt>
                <dd>${person.name ?? '—'}</dd>
              </div>
              <div>
                <dt>Groups</dt>
                <dd>${person.groups.join(', ') || '—'}</dd>
              </div>
            </dl>
          </section>`
    }
    <section>
      <h2>What the source said</h2>
      <div class="scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">Claim</th>
              <th scope="col">Value</th>
            </tr>
          </thead>
          <tbody>
            ${Object.entries(claims).map(
              ([name, value]) =>
                html`<tr>
                  <td>${name}</td>
                  <td><code>${JSON.stringify(value)}</code></td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </section>`
  return layout(frame, { title: 'Preview', body, isWide: true })
}

const WORDS: Readonly<Record<Preview['outcome'], string>> = {
  known: 'This is an account that is there.',
  'must-link': 'There is such an account; its owner would be asked to link it with a factor of this house.',
  created: 'The account would be made.',
  refused: '',
}
