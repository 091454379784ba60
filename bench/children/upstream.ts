import { startEchoUpstream } from '../../test/fakes/echo-upstream.ts'
import { takeOrders } from '../orders.ts'

const modern = await startEchoUpstream()
const legacy = await startEchoUpstream({ isLegacyOnly: true })

takeOrders({ addresses: () => ({ modern: modern.url, legacy: legacy.url }) })
