/** `cairn grant …`: what users, groups and tokens may or may not do in which repositories. */
import { Command, Option } from 'commander'
import { ACTIONS } from '../../protocol/access/roles.js'
import { record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal, table } from '../terminal.js'
import { deleteCommand } from './delete.js'
import { clientCommand } from './options.js'

const API = '/api/v1/grants'
const SUBJECTS = ['user', 'group', 'token'] as const

interface GrantFlags extends ClientFlags {
  user?: string
  group?: string
  token?: string
  path?: string
  role?: string
  action?: string[]
  deny?: boolean
}

export function grantCommand(terminal: Terminal): Command {
  return new Command('grant')
    .description('what users and groups may do, and what they and tokens may not')
    .addCommand(listGrants(terminal))
    .addCommand(createGrant(terminal))
    .addCommand(deleteCommand(terminal, 'take a grant back', API, 'id'))
}

function listGrants(terminal: Terminal): Command {
  return clientCommand('list', 'all grants, or those of one')
    .option('--user <name>')
    .option('--group <name>')
    .option('--token <id>')
    .option('--repository <key>', 'a key or pattern, as in the grant')
    .action(async (flags: GrantFlags & { repository?: string }) => {
      const query = new URLSearchParams({ limit: '1000' })
      for (const name of [...SUBJECTS, 'repository'] as const)
        if (flags[name] !== undefined) query.set(name, flags[name])
      const found = await (await connect(flags, terminal)).all(`${API}?${query}`)
      const row = (grant: Record<string, unknown>) => [
        grant.id,
        grant.effect,
        SUBJECTS.flatMap((kind) => (grant[kind] ? [`${kind} ${grant[kind]}`] : [])).join(),
        grant.role ?? (Array.isArray(grant.actions) ? grant.actions.join(' ') : ''),
        grant.repository,
        grant.path,
      ]
      print(terminal, flags, found, () => table(['ID', 'EFFECT', 'WHO', 'WHAT', 'REPOSITORY', 'PATH'], found.map(row)))
    })
}

function createGrant(terminal: Terminal): Command {
  return clientCommand('create', 'let a user or group do something, or forbid it; the user anonymous is everybody')
    .argument('<repository>', 'a key, or a pattern with "*"')
    .addOption(new Option('--user <name>').conflicts(['group', 'token']))
    .addOption(new Option('--group <name>').conflicts(['user', 'token']))
    .addOption(new Option('--token <id>', 'only with --deny').conflicts(['user', 'group']))
    .addOption(new Option('--role <name>').conflicts('action'))
    .addOption(new Option('--action <action...>', 'instead of a role, one or several').choices(ACTIONS))
    .option('--path <path>', 'only paths that begin with it; "*" is any run of characters')
    .option('--deny', 'forbid, whatever else allows it')
    .action(async (repository: string, flags: GrantFlags) => {
      const { user, group, token, path, role, action: actions } = flags
      const draft = { user, group, token, repository, path, role, actions, effect: flags.deny ? 'deny' : 'allow' }
      const made = record(await (await connect(flags, terminal)).json('POST', API, draft))
      print(terminal, flags, made, () => `Made ${String(made.id)}`)
    })
}
