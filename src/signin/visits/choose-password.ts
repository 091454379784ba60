export const MIN_PASSWORD_CHARS = 12
const MAX_PASSWORD_CHARS = 1_024

/** The new password of a form that asks for it twice. How good it is, the accounts judge. */
export function choosePassword(
  form: URLSearchParams,
): { readonly ok: true; readonly password: string } | { readonly ok: false; readonly trouble: string } {
  const password = form.get('password') ?? ''
  if (password !== form.get('again')) return { ok: false, trouble: 'The two passwords are not the same.' }
  const { length } = password
  if (length < MIN_PASSWORD_CHARS) return { ok: false, trouble: `Use at least ${MIN_PASSWORD_CHARS} characters.` }
  if (length > MAX_PASSWORD_CHARS) return { ok: false, trouble: `Use at most ${MAX_PASSWORD_CHARS} characters.` }
  return { ok: true, password }
}
