import { Hono } from 'hono'

/** Stands in until the rooms' contracts are mounted. */
export function createHouseApi(_deps: object): (request: Request) => Promise<Response> {
  const app = new Hono()
  app.get('/livez', (c) => c.text('ok'))
  return async (request) => app.fetch(request)
}
