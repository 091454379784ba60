/** `npm run check`: the same as `./gatehouse test`, without touching the machine's packages. */
import { houseSteps, runSteps } from './steps.ts'

await runSteps(houseSteps(process.argv.slice(2)))
