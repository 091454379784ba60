/** How the house is seen from outside: logs, metrics and trace ids. Nothing here ever receives a secret or a body. */
export type { Log } from './log.ts'
