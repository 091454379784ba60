/**
 * The composition root: reads the configuration, makes every room in the order of the floors, hands each what it
 * needs, and takes all of it down again in the opposite order. The only place that knows every room.
 *
 * `openGatehouse` makes the house without a listener (the CLI uses it so when nothing runs); `serve` gives it one.
 */
export { MIGRATIONS, openGatehouse, type Gatehouse } from './open.ts'
export { serve, type RunningGatehouse } from './serve.ts'
export { readConfig, type GatehouseConfig } from './config.ts'
export { followConfig } from './watch.ts'
export { readRunning, type Running } from './running.ts'
export { whyNoPort } from './port.ts'
export { ADMIN_OPERATIONS, contracts, describeHouse } from './api.ts'
export { HOUSE } from './version.ts'
