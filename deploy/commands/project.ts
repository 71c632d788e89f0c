/** `cairn project …`: projects, their members, and their service accounts with the tokens of these. */
import { Command, Option } from 'commander'
import { RegistryError } from '../../protocol/errors.js'
import { record } from '../client.js'
import { type ClientFlags, connect, print, size, type Terminal, table } from '../terminal.js'
import { deleteCommand } from './delete.js'
import { clientCommand, quantity, several, wholeNumber } from './options.js'

const API = '/api/v1/projects'
const MAX_DAYS = 3650

export function projectCommand(terminal: Terminal): Command {
  return new Command('project')
    .description('projects: repositories that belong together, with members, a quota and service accounts')
    .addCommand(listProjects(terminal))
    .addCommand(createProject(terminal))
    .addCommand(updateProject(terminal))
    .addCommand(members(terminal))
    .addCommand(accounts(terminal))
    .addCommand(createToken(terminal))
    .addCommand(
      deleteCommand(terminal, 'remove a project that has no repositories, with its service accounts', API, 'key'),
    )
}

function listProjects(terminal: Terminal): Command {
  return clientCommand('list', 'projects that you may see').action(async (flags: ClientFlags) => {
    const found = await (await connect(flags, terminal)).all(`${API}?limit=1000`)
    const row = ({ key, name, members: listed, quota_bytes, repositories }: Record<string, unknown>) => [
      key,
      name,
      Array.isArray(listed) ? listed.length : 0,
      size(quota_bytes),
      Array.isArray(repositories) ? repositories.join(' ') : '',
    ]
    print(terminal, flags, found, () => table(['KEY', 'NAME', 'MEMBERS', 'QUOTA', 'REPOSITORIES'], found.map(row)))
  })
}

interface ProjectFlags extends ClientFlags {
  name?: string
  description?: string
  quota?: number | false
}

function described(command: Command): Command {
  return command
    .option('--name <text>')
    .option('--description <text>')
    .option('--quota <size>', 'of all its repositories together, such as 10GiB', quantity)
}

function createProject(terminal: Terminal): Command {
  return described(clientCommand('create', 'make a project').argument('<key>')).action(
    async (key: string, { name, description, quota, ...flags }: ProjectFlags) => {
      const draft = { key, name, description, quota_bytes: quota }
      const made = await (await connect(flags, terminal)).json('POST', API, draft)
      print(terminal, flags, made, () => `Made ${key}`)
    },
  )
}

function updateProject(terminal: Terminal): Command {
  return described(clientCommand('update', 'change a project').argument('<key>'))
    .addOption(new Option('--no-quota', 'no limit'))
    .action(async (key: string, { name, description, quota, ...flags }: ProjectFlags) => {
      const quota_bytes = quota === false ? null : quota
      const changed = await (await connect(flags, terminal)).json('PATCH', addressOf(key), {
        name,
        description,
        quota_bytes,
      })
      print(terminal, flags, changed, () => `Changed ${key}`)
    })
}

interface MemberFlags extends ClientFlags {
  user?: string
  group?: string
  role?: string
  remove?: boolean
}

function members(terminal: Terminal): Command {
  return clientCommand('members', 'members and their roles; gives one a role, or takes one out')
    .argument('<key>')
    .addOption(new Option('--user <name>').conflicts('group'))
    .option('--group <name>')
    .option('--role <name>', 'that the user or group is to have')
    .addOption(new Option('--remove', 'take the user or group out').conflicts('role'))
    .action(async (key: string, flags: MemberFlags) => {
      const client = await connect(flags, terminal)
      const change = changeOf(flags)
      if (change) await client.json(change.method, `${addressOf(key)}/${change.path}`, change.body)
      const { members: found } = record(await client.json('GET', addressOf(key)))
      const rows = Array.isArray(found) ? found.map(record) : []
      print(terminal, flags, rows, () =>
        table(
          ['MEMBER', 'ROLE'],
          rows.map(({ user, group, role }) => [user === null ? `group ${group}` : `user ${user}`, role]),
        ),
      )
    })
}

function changeOf({
  user,
  group,
  role,
  remove,
}: MemberFlags): { method: string; path: string; body?: object } | undefined {
  const named = user ?? group
  if (named === undefined && role === undefined && !remove) return undefined
  if (named === undefined || (role === undefined && !remove))
    throw new RegistryError('invalid', 'Name a --user or a --group, and a --role or --remove', { code: 'usage' })
  const path = `${user === undefined ? 'groups' : 'users'}/${encodeURIComponent(named)}`
  return remove ? { method: 'DELETE', path } : { method: 'PUT', path, body: { role } }
}

interface AccountFlags extends ClientFlags {
  add?: string
  remove?: string
  role?: string
}

function accounts(terminal: Terminal): Command {
  return clientCommand('accounts', 'service accounts; adds or removes one')
    .argument('<key>')
    .addOption(new Option('--add <name>').conflicts('remove'))
    .option('--role <name>', 'of the added one in the project')
    .option('--remove <name>')
    .action(async (key: string, { add, remove, role, ...flags }: AccountFlags) => {
      const client = await connect(flags, terminal)
      const path = `${addressOf(key)}/service-accounts`
      if (add !== undefined) await client.json('POST', path, { username: add, role })
      if (remove !== undefined) await client.json('DELETE', `${path}/${encodeURIComponent(remove)}`)
      const found = await client.all(`${path}?limit=1000`)
      print(terminal, flags, found, () =>
        table(
          ['NAME', 'MADE'],
          found.map(({ username, created_at }) => [username, created_at]),
        ),
      )
    })
}

function createToken(terminal: Terminal): Command {
  return clientCommand('token', 'make a token of a service account; its value is shown this once')
    .argument('<key>', 'of the project')
    .argument('<account>')
    .argument('<name>', 'of the token')
    .option('--scope <scope>', 'as of `cairn token create`; can be given several times', several)
    .option('--days <number>', 'how long it is valid; without: as the registry has it', wholeNumber(1, MAX_DAYS))
    .action(
      async (key: string, account: string, name: string, flags: ClientFlags & { scope?: string[]; days?: number }) => {
        const draft = { name, scopes: flags.scope ?? ['*'], expires_in_days: flags.days }
        const path = `${addressOf(key)}/service-accounts/${encodeURIComponent(account)}/tokens`
        const token = record(await (await connect(flags, terminal)).json('POST', path, draft))
        print(terminal, flags, token, () => String(token.value))
      },
    )
}

function addressOf(key: string): string {
  return `${API}/${encodeURIComponent(key)}`
}
