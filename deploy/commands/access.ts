/** `cairn access explain`: who may do something in a repository, or what somebody may do, and by what. */
import { Command, Option } from 'commander'
import { ACTIONS } from '../../protocol/access/roles.js'
import { RegistryError } from '../../protocol/errors.js'
import { printable, record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal } from '../terminal.js'
import { clientCommand } from './options.js'

interface ExplainFlags extends ClientFlags {
  repository?: string
  path?: string
  action: string
  user?: string
}

export function accessCommand(terminal: Terminal): Command {
  return new Command('access').description('who may do what').addCommand(
    clientCommand('explain', 'who may do something in a repository, or what a user may do, and by what')
      .option('--repository <key>', 'of which is asked')
      .option('--path <path>', 'in it; without: the repository as a whole')
      .addOption(new Option('--action <action>', 'of which is asked').choices(ACTIONS).default('read'))
      .option('--user <name>', 'what this user may do; without: who may do the action')
      .action(async (flags: ExplainFlags) => {
        const client = await connect(flags, terminal)
        const found = await client.all(addressOf(flags))
        const lines = flags.user === undefined ? found.flatMap(whoLines) : found.flatMap(whatLines)
        print(terminal, flags, found, () => (lines.length > 0 ? lines : ['Nobody, and nothing.']).join('\n'))
      }),
  )
}

function addressOf({ repository, path, action, user }: ExplainFlags): string {
  const query = new URLSearchParams({ limit: '1000', ...(path === undefined ? {} : { path }) })
  if (user !== undefined) {
    if (repository !== undefined) query.set('repository', repository)
    return `/api/v1/users/${encodeURIComponent(user)}/access?${query}`
  }
  if (repository === undefined)
    throw new RegistryError('invalid', 'Name a --repository, or a --user, or both', { code: 'usage' })
  query.set('action', action)
  return `/api/v1/repositories/${encodeURIComponent(repository)}/access?${query}`
}

function whoLines({ username, sources }: Record<string, unknown>): string[] {
  return [printable(String(username)), ...reasons(sources)]
}

function whatLines({ repository, actions, partly, sources }: Record<string, unknown>): string[] {
  const whole = words(actions)
  const part = words(partly)
  const may = [...(whole ? [whole] : []), ...(part ? [`${part} on some paths`] : [])].join('; ') || 'nothing'
  return [printable(`${String(repository)}: ${may}`), ...reasons(sources)]
}

function reasons(sources: unknown): string[] {
  return Array.isArray(sources) ? sources.map((source) => `  ${printable(String(record(source).reason))}`) : []
}

function words(value: unknown): string {
  return Array.isArray(value) ? value.join(', ') : ''
}
