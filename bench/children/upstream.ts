import { startEchoUpstream } from '../../test/fakes/echo-upstream.ts'
import { takeOrders } from '../orders.ts'
import { startSdkEcho } from './sdk-echo.ts'

const modern = await startEchoUpstream()
const legacy = await startEchoUpstream({ isLegacyOnly: true })

const sdk = await startSdkEcho()

takeOrders({ addresses: () => ({ modern: modern.url, legacy: legacy.url, sdk: sdk.url }) })
