/** `./gatehouse test`: installs what the suites need, then runs everything. Words after it go to vitest. */
import { installNeeds } from './debian.ts'
import { houseSteps, runSteps } from './steps.ts'

const skipped = await installNeeds()
await runSteps([...skipped, ...houseSteps(process.argv.slice(2))])
