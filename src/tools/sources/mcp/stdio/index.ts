/**
 * MCP servers that are programs on this machine.
 *
 * A *supervisor* starts them and knows all that run. Each start gives one `Link` (../link.ts): a child process in a
 * process group of its own, JSON-RPC in lines over its stdin and stdout, its stderr in our log. Read in this order:
 * `supervisor.ts` (may it start now?) → `process-link.ts` (one child as a link) → `conversation.ts` (requests and
 * answers) and `server-process.ts` (start, stop, the order of signals).
 *
 * Nothing outlives the house. A stop takes the whole process group and every descendant that carries our marker
 * (`marked-processes.ts`); and should the house itself be killed, `guard.sh`, one small process beside it, sees the end
 * of its pipe and does the same.
 */
export { createSupervisor, type RunningProcess, type Supervisor, type SupervisorDeps } from './supervisor.ts'
