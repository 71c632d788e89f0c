/** The commands of `cairn`, put together, and how an error ends it. */
import { Command, CommanderError } from 'commander'
import { RegistryError } from '../protocol/errors.js'
import { accessCommand } from './commands/access.js'
import { loginCommand, logoutCommand, tokenCommand, whoamiCommand } from './commands/account.js'
import { auditCommand } from './commands/audit.js'
import { benchCommand } from './commands/bench.js'
import { completionCommand } from './commands/completion.js'
import { configCommand } from './commands/config.js'
import { explainCommand } from './commands/explain.js'
import { getCommand, lsCommand, putCommand, rmCommand } from './commands/files.js'
import { grantCommand } from './commands/grant.js'
import { groupCommand } from './commands/group.js'
import { leaseCommand } from './commands/lease.js'
import { prefetchCommand, readyCommand } from './commands/lock.js'
import { nodeCommand } from './commands/node.js'
import { projectCommand } from './commands/project.js'
import { providerCommand } from './commands/provider.js'
import { recoveryCommand } from './commands/recovery.js'
import { repoCommand } from './commands/repo.js'
import { rescueCommand } from './commands/rescue.js'
import { roleCommand } from './commands/role.js'
import { primaryCommand, upCommand } from './commands/run.js'
import { runCommand } from './commands/run-client.js'
import { statusCommand } from './commands/status.js'
import { trustCommand } from './commands/trust.js'
import { verifyCommand } from './commands/verify.js'
import { EXIT, EXIT_HELP, exitCodeOf } from './exit-code.js'
import type { Terminal } from './terminal.js'
import { programVersion } from './version.js'

/** `ended`: told the exit code of a command that ran another. */
export function program(terminal: Terminal, ended: (code: number) => void = () => undefined): Command {
  const cairn = new Command('cairn')
    .description('A distributed artifact registry.')
    .version(programVersion())
    .enablePositionalOptions()
    .addHelpText(
      'after',
      `\nSettings: \`cairn config\`. Registry of the client commands: --url or CAIRN_URL.\n${EXIT_HELP}`,
    )
  const commands = [
    upCommand(terminal),
    primaryCommand(terminal),
    nodeCommand(terminal),
    runCommand(terminal, ended),
    loginCommand(terminal),
    logoutCommand(terminal),
    whoamiCommand(terminal),
    putCommand(terminal),
    getCommand(terminal),
    lsCommand(terminal),
    rmCommand(terminal),
    repoCommand(terminal),
    tokenCommand(terminal),
    leaseCommand(terminal),
    providerCommand(terminal),
    trustCommand(terminal),
    groupCommand(terminal),
    roleCommand(terminal),
    projectCommand(terminal),
    grantCommand(terminal),
    explainCommand(terminal),
    accessCommand(terminal),
    prefetchCommand(terminal),
    readyCommand(terminal),
    verifyCommand(terminal),
    auditCommand(terminal),
    recoveryCommand(terminal),
    rescueCommand(terminal, ended),
    statusCommand(terminal),
    configCommand(terminal),
    completionCommand(terminal, () => cairn),
    benchCommand(),
  ]
  for (const command of commands) cairn.addCommand(command)
  for (const command of everyCommand(cairn))
    command
      .exitOverride()
      .configureOutput({ writeOut: (text) => terminal.out.write(text), writeErr: (text) => terminal.err.write(text) })
  return cairn
}

/** Runs one command line (without node and script); the exit code. Errors are said here, in one sentence, and nowhere else. */
export async function runProgram(args: readonly string[], terminal: Terminal): Promise<number> {
  let code: number = EXIT.ok
  try {
    await program(terminal, (other) => {
      code = other
    }).parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    // Help and version are errors to commander; what it has to say it has said.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    terminal.err.write(`cairn: ${sentenceOf(error, terminal)}\n`)
    return exitCodeOf(error)
  }
}

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)]
}

/** An error that nobody foresaw keeps its stack: it is a bug, and this is where it is looked for. */
function sentenceOf(error: unknown, { environment }: Terminal): string {
  if (error instanceof RegistryError) return error.message
  if (!(error instanceof Error)) return String(error)
  if ((error as NodeJS.ErrnoException).code === 'ENOSPC') return 'The disk is full; free some space and try again'
  return environment.CI || environment.NODE_ENV === 'development' ? (error.stack ?? error.message) : error.message
}
