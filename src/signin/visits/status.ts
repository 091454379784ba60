/** The status of a page that says no. Never 401: browsers are asked by a form, not by `WWW-Authenticate` (RFC 9110 §15.5.2). */
export function statusOf(status: number): 400 | 403 | 404 | 409 | 429 | 500 | 502 {
  switch (status) {
    case 401:
      return 403
    case 400:
    case 403:
    case 404:
    case 409:
    case 429:
    case 502:
      return status
    default:
      return status < 500 ? 400 : 500
  }
}
