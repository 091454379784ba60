/** For tests only: a browser without scripts, with its cookies and the form token of the page it saw last. */
export type TestBrowser = ReturnType<typeof openBrowser>

export type Seen = {
  readonly status: number
  readonly location: string | null
  readonly text: string
  readonly headers: Headers
}

export function openBrowser(base: string) {
  const cookies = new Map<string, string>()
  let csrf = ''
  const send = async (path: string, init: RequestInit): Promise<Seen> => {
    const headers = new Headers(init.headers)
    headers.set('cookie', [...cookies].map(([name, value]) => `${name}=${value}`).join('; '))
    const response = await fetch(new URL(path, base), { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '' || /max-age=0/i.test(line)) cookies.delete(name)
      else cookies.set(name, value)
    }
    const text = await response.text()
    csrf = /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? csrf
    return { status: response.status, location: response.headers.get('location'), text, headers: response.headers }
  }
  return {
    cookies,
    csrf: () => csrf,
    get: (path: string) => send(path, { method: 'GET' }),
    /** Sends the form of the page seen last; `csrf` in the fields replaces its token. */
    post: (path: string, fields: Readonly<Record<string, string>>) =>
      send(path, { method: 'POST', body: new URLSearchParams({ csrf, ...fields }) }),
    /** Signs in with a password alone. */
    signIn: async (user: string, password: string, returnTo = '/account'): Promise<Seen> => {
      await send(`/signin?return=${encodeURIComponent(returnTo)}`, { method: 'GET' })
      const body = new URLSearchParams({ csrf, user, password })
      return await send(`/signin?return=${encodeURIComponent(returnTo)}`, { method: 'POST', body })
    },
  }
}
