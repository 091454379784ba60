/** Where the house keeps things. */
export type { ChangeBus, Migrations, Storage, StoredValue } from './contract.ts'
