/** The server no longer knows the session. The request that found out was not executed, so it may be repeated. */
export class SessionGone extends Error {
  constructor(server: string) {
    super(`server "${server}" no longer knows the session`)
    this.name = 'SessionGone'
  }
}
