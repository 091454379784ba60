import { ASSETS } from './assets.ts'
import { pageHeaders } from './page-headers.ts'
import { gatewayPage } from './pages/gateway.ts'
import type { Frame, Html } from './pages/layout.ts'
import { messagePage } from './pages/message.ts'

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

const FRAME: Frame = { nonce: '', csrf: '', ...ASSETS.addresses }

async function plain(page: Html): Promise<PlainPage> {
  const body = (await page).toString()
  return { headers: { 'content-type': 'text/html; charset=utf-8', ...pageHeaders() }, body }
}
