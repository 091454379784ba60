import { html } from 'hono/html'
import type { LoginDecision, TestedLogin } from '#login'
import { alert, layout, type Frame, type Html } from './layout.ts'

export type PolicyQuestion = {
  readonly user: string
  readonly service: string
  readonly from: string
  readonly factor: string
}

const FACTORS = [
  ['', 'not known'],
  ['password', 'password'],
  ['upstream', 'another provider'],
  ['token', 'token'],
  ['two-factor', 'two factors'],
  ['passkey', 'passkey'],
] as const

/** What the login policy says of somebody, rule for rule. Asking changes nothing. */
export function loginPolicyPage(
  frame: Frame,
  view: {
    readonly asked: PolicyQuestion
    readonly decision: TestedLogin | null
    readonly trouble?: string | null
  },
): Html {
  const { asked, decision, trouble } = view
  const body = html`<header>
      <div>
        <h1>Login policy</h1>
        <p class="lead">What would happen, by the function that enforces it.</p>
      </div>
      <a class="button quiet" href="/account">Your account</a>
    </header>
    ${alert(trouble)}
    <section>${questionForm(asked)}</section>
    ${decision === null ? '' : answer(decision, asked.user)}`
  return layout(frame, { title: 'Login policy', body, isWide: true })
}

/** It only asks, so its answers stand in the address and can be shown to others. */
function questionForm(asked: PolicyQuestion): Html {
  const text = (name: 'user' | 'service' | 'from', label: string, { isNeeded = true, hint = '' } = {}): Html =>
    html`<div class="field">
      <label for="${name}">${label}</label>
      <input
        id="${name}"
        name="${name}"
        value="${asked[name]}"
        maxlength="256"
        autocomplete="off"
        ${isNeeded ? html`required` : ''}
        ${hint === '' ? '' : html`aria-describedby="${name}-hint"`}
      />
      ${hint === '' ? '' : html`<p class="hint" id="${name}-hint">${hint}</p>`}
    </div>`
  return html`<form method="get" action="/account/login-policy">
    <div class="fields">
      ${text('user', 'User')} ${text('service', 'Service', { hint: 'A gateway, account, or client:ID' })}
      ${text('from', 'IP address', { isNeeded: false })}
      <div class="field">
        <label for="factor">Factor</label>
        <select id="factor" name="factor">
          ${FACTORS.map(
            ([value, label]) =>
              html`<option value="${value}" ${value === asked.factor ? html`selected` : ''}>${label}</option>`,
          )}
        </select>
      </div>
    </div>
    <button class="primary" type="submit">Ask</button>
  </form>`
}

function answer({ effect, winner, reason, rules, account }: TestedLogin, user: string): Html {
  return html`<section aria-labelledby="answer">
    <h2 id="answer">${effect === 'allow' ? 'Let in' : 'Refused'}</h2>
    <p class="lead">${reason}.</p>
    ${account === 'active' ? '' : alert(`${NOBODY[account](user)} Nobody signs in with it, whatever the rules say.`)}
    ${rules.length === 0 ? '' : rulesTable(rules, winner)}
  </section>`
}

const NOBODY = {
  none: (user: string) => `There is no account “${user}” here.`,
  inactive: (user: string) => `The account “${user}” is switched off.`,
}

function rulesTable(rules: LoginDecision['rules'], winner: LoginDecision['winner']): Html {
  const row = (rule: LoginDecision['rules'][number]): Html =>
    html`<tr class="${rule.id === winner ? 'winner' : ''}">
      <td>${rule.priority}</td>
      <td>${rule.id}${rule.id === winner ? html`<span class="badge">decides</span>` : ''}</td>
      <td>${rule.effect}</td>
      <td>${rule.verdict}</td>
      <td>${rule.because.join(', ')}</td>
    </tr>`
  return html`<div class="scroll" tabindex="0" role="region" aria-labelledby="answer">
    <table>
      <thead>
        <tr>
          <th scope="col">Priority</th>
          <th scope="col">Rule</th>
          <th scope="col">Effect</th>
          <th scope="col">Verdict</th>
          <th scope="col">Because of</th>
        </tr>
      </thead>
      <tbody>
        ${rules.map(row)}
      </tbody>
    </table>
  </div>`
}
