import { Caste } from '../caste.ts'
import { useOf } from '../cedar/entities.ts'
import { SOMEBODY } from '../person.ts'
import type { Thing } from '../thing.ts'
import { compileGrant } from './compile.ts'
import type { Grant } from './schema.ts'

const AT = { face: 'none', client: '', remoteAddress: null, scopes: null }

/** Whether the grant is about this thing, whoever it is for. */
export function createCoverage(grant: Grant): (thing: Thing) => boolean {
  const policy = { ...compileGrant(grant), principal: { op: 'All' as const } }
  const look = {
    subjects: new Set<string>(),
    gateways: new Set<string>(),
    servers: new Set<string>(),
    operations: new Set<string>(),
    context: new Set<string>(),
    readsPrincipal: false,
    namesList: false,
    namesAdmin: false,
  }
  const caste = new Caste(SOMEBODY, [{ id: grant.id, policy, look }])
  return (thing) => caste.decide({ thing, action: useOf(thing), at: AT, now: 0 }).effect === 'allow'
}
