import { z } from 'zod'
import { startBareProxy } from '../../test/fakes/bare-proxy.ts'
import { givenAtStart, takeOrders } from '../orders.ts'

const { target } = z.object({ target: z.string() }).parse(givenAtStart())
const proxy = await startBareProxy({ target })

takeOrders({ address: () => ({ url: proxy.url }) })
