import { Command, CommanderError } from 'commander'
import { HOUSE } from '#main'
import { addApproval } from './commands/approval.ts'
import { addAudit } from './commands/audit.ts'
import { addBackup } from './commands/backup.ts'
import { addCall } from './commands/call.ts'
import { addChanges } from './commands/changes.ts'
import { addConnect } from './commands/connect.ts'
import { addDoctor } from './commands/doctor.ts'
import { addGateway } from './commands/gateway.ts'
import { addGrant } from './commands/grant.ts'
import { addAccount } from './commands/account.ts'
import { addGroup } from './commands/group.ts'
import { addHook } from './commands/hook.ts'
import { addIdentitySource } from './commands/identity-source.ts'
import { addKey } from './commands/key.ts'
import { addLoginPolicy } from './commands/login-policy.ts'
import { addRule } from './commands/rule.ts'
import { addPolicy } from './commands/policy.ts'
import { addServer } from './commands/server.ts'
import { addClient } from './commands/client.ts'
import { addSigningKey } from './commands/signing-key.ts'
import { addTools } from './commands/tools.ts'
import { addUp } from './commands/up.ts'
import { describeFailure } from './failure.ts'
import type { Terminal } from './terminal.ts'
import type { Verb } from './verb.ts'

const NOUNS = [
  addUp,
  addKey,
  addAccount,
  addGroup,
  addLoginPolicy,
  addIdentitySource,
  addSigningKey,
  addClient,
  addGrant,
  addPolicy,
  addServer,
  addGateway,
  addRule,
  addHook,
  addApproval,
  addTools,
  addCall,
  addChanges,
  addAudit,
  addBackup,
  addDoctor,
  addConnect,
]

/** Runs one command line and resolves with its exit code. Never throws: what went wrong is on stderr. */
export async function runCli(words: readonly string[], terminal: Terminal): Promise<number> {
  let code = 0
  const verb: Verb = { terminal, finish: (status) => (code = status) }
  try {
    await createProgram(verb).parseAsync([...words], { from: 'user' })
    return code
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    const failure = describeFailure(error)
    terminal.err(`gatehouse: ${failure.text}`)
    return failure.code
  }
}

function createProgram(verb: Verb): Command {
  const { terminal } = verb
  const program = new Command('gatehouse')
    .description('One front door for agent tools.')
    .version(HOUSE.version, '-V, --version')
    .showHelpAfterError('(--help shows what there is)')
    .exitOverride()
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) })
    // Commands are made from this one, and take over how it ends and where it writes.
    .enablePositionalOptions()
  for (const add of NOUNS) add(program, verb)
  return program
}
