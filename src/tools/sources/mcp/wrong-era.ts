/** The server does not behave like one of the era it was taken for. Nothing was executed, so the call may be repeated. */
export class WrongEra extends Error {
  constructor(server: string) {
    super(`server "${server}" does not speak the protocol era that it was found with`)
    this.name = 'WrongEra'
  }
}
