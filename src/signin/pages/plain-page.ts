import { ASSETS } from './assets.ts'
import { formTarget, pageHeaders } from './page-headers.ts'
import { gatewayPage } from './gateway.ts'
import type { Frame, Html } from './layout.ts'
import { messagePage } from './message.ts'
import { signOutPage, type SignOutView } from './sign-out.ts'

/** A whole answer for a browser, apart from its status. */
export type PlainPage = { readonly headers: Readonly<Record<string, string>>; readonly body: string }

/** For other rooms that have something to tell a person: no form, no script, and it leads nowhere by itself. */
export function troublePage(view: { readonly title: string; readonly text: string }): Promise<PlainPage> {
  return plain(messagePage(FRAME, { ...view, next: { label: 'Go to your account', href: '/account' } }))
}

/** For somebody who opens the address of a gateway in a browser. */
export function gatewayAddressPage(url: string): Promise<PlainPage> {
  return plain(gatewayPage(FRAME, { url }))
}

/** On which a person decides whether they leave, for the authorization server. */
export function logoutPage(view: SignOutView): Promise<PlainPage> {
  return plain(signOutPage(FRAME, view), { onward: view.onward === null ? '' : formTarget(view.onward) })
}

const FRAME: Frame = { nonce: '', csrf: '', ...ASSETS.addresses }

async function plain(page: Html, lead: { onward?: string } = {}): Promise<PlainPage> {
  const body = (await page).toString()
  return { headers: { 'content-type': 'text/html; charset=utf-8', ...pageHeaders(lead) }, body }
}
