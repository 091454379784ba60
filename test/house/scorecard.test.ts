import { afterAll, beforeAll } from 'vitest'
import { forEachEngine } from '../../src/storage/testing.ts'
import { around } from './scorecard/around.ts'
import { change } from './scorecard/change.ts'
import { input } from './scorecard/input.ts'
import { output } from './scorecard/output.ts'
import { startRig, type Rig } from './scorecard/rig.ts'
import { separation } from './scorecard/separation.ts'

/**
 * The access-control scorecard: five tests that a gateway is given (separation, what goes in, what comes out, a change,
 * the way around), each with its gate (at the gateway whatever the client does; before the tool runs; absent from all
 * that is received; at once, with nothing restarted; found again, with the reason). Published servers and clients, on
 * one process with SQLite and on three with Postgres.
 */
forEachEngine((engine) => {
  let rig: Rig
  const theRig = () => rig
  beforeAll(async () => {
    rig = await startRig(engine)
  }, 60_000)
  afterAll(() => rig.close())

  separation(theRig)
  input(theRig)
  output(theRig)
  change(theRig)
  around(theRig)
})
