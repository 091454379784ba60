/** Where people may be sent after they have signed in. */
const PATHS = /^\/(account|device|approve|signin\/[\w-]{1,200}|oauth\/[\w/-]{1,200})(\/[\w-]{1,64}){0,2}$/
const HOME = '/account'

/**
 * A path of this house to go back to, whatever was asked for. Anything that a browser could take for another place
 * (`//host`, `/\host`, a scheme, control characters, `..`) becomes the account page.
 */
export function returnPath(asked: string | null | undefined): string {
  if (!asked || asked.length > 2_000 || !/^\/[\x21-\x5b\x5d-\x7e]*$/.test(asked)) return HOME
  const url = URL.parse(asked, 'http://house.invalid')
  if (url === null || url.host !== 'house.invalid' || url.hash !== '') return HOME
  const path = `${url.pathname}${url.search}`
  return path === asked && PATHS.test(url.pathname) ? path : HOME
}
