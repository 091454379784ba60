import { z } from 'zod'
import { startHouse } from '../../test/house/start-house.ts'
import { givenAtStart, takeOrders, watchMemory } from '../orders.ts'
import { callInProcess } from './in-process.ts'
import { govern, grantAll } from './rules.ts'
import { startProfile, stopProfile } from './profile.ts'

/** The house as `./gatehouse up` runs it, with a gateway for each kind of upstream. */
const { dataDir, modern, legacy, sdk } = z
  .object({ dataDir: z.string(), modern: z.string(), legacy: z.string(), sdk: z.string() })
  .parse(givenAtStart())

const house = await startHouse({
  dataDir,
  toml: `
[storage]
durability = "power"

[[servers]]
name = "modern"
transport = "http"
url = "${modern}"

[[servers]]
name = "legacy"
transport = "http"
url = "${legacy}"

[[servers]]
name = "sdk"
transport = "http"
url = "${sdk}"

[[servers]]
name = "builtin"
transport = "builtin"

[[gateways]]
slug = "modern"
tools = ["modern/*"]

[[gateways]]
slug = "granted"
access = "grants"
tools = ["modern/*"]

[[gateways]]
slug = "sdk"
tools = ["sdk/*"]

[[gateways]]
slug = "legacy"
tools = ["legacy/*"]

[[gateways]]
slug = "builtin"
tools = ["builtin/*"]
`,
})

let endWatch: (() => number) | undefined

takeOrders(
  {
    open: async () => {
      await house.listed()
      const key = await house.gatehouse.identity.createKey(
        { userId: 'bench@example.com', gateways: ['*'], role: 'user' },
        { userId: 'bench', keyId: null, face: 'cli' },
      )
      return { url: house.url, key: key.key }
    },
    collect: () => globalThis.gc?.(),
    records: async () => (await house.gatehouse.audit.search({}, { limit: 1 })).records.length,
    'in-process': (given) => callInProcess(house.gatehouse, given),
    'watch-memory': () => {
      endWatch = watchMemory()
    },
    'end-watch': () => endWatch?.() ?? 0,
    'grant-all': () => grantAll(house.gatehouse),
    govern: (given) => govern(house.gatehouse, given),
    'start-profile': startProfile,
    'stop-profile': stopProfile,
    errors: () => house.logs.filter((line) => line.includes('"level":"error"')).slice(0, 5),
  },
  () => house.close(),
)
