/** `cairn repo …`: repositories and the members of virtual ones. */
import { Command, Option } from 'commander'
import { record } from '../client.js'
import { type ClientFlags, connect, print, size, type Terminal, table } from '../terminal.js'
import { clientCommand, quantity, several, wholeNumber } from './options.js'

const API = '/api/v1/repositories'
const MAX_PRIORITY = 1_000_000

export function repoCommand(terminal: Terminal): Command {
  return new Command('repo')
    .description('repositories')
    .addCommand(listRepositories(terminal))
    .addCommand(createRepository(terminal))
    .addCommand(showRepository(terminal))
    .addCommand(deleteRepository(terminal))
    .addCommand(members(terminal))
}

function listRepositories(terminal: Terminal): Command {
  return clientCommand('list', 'repositories that you may see').action(async (flags: ClientFlags) => {
    const found = await (await connect(flags, terminal)).all(`${API}?limit=1000`)
    const row = (entry: Record<string, unknown>) => [
      entry.key,
      entry.format,
      entry.repo_type,
      entry.is_public ? 'public' : 'private',
      entry.url,
    ]
    print(terminal, flags, found, () => table(['KEY', 'FORMAT', 'TYPE', 'ACCESS', 'URL'], found.map(row)))
  })
}

interface CreateFlags extends ClientFlags {
  format: string
  type: string
  public?: boolean
  redeploy?: boolean
  immutableTag?: string[]
  quota?: number
  project?: string
  upstream?: string
  description?: string
  member?: string[]
}

function createRepository(terminal: Terminal): Command {
  return clientCommand('create', 'make a repository')
    .argument('<key>')
    .requiredOption('--format <format>')
    .addOption(new Option('--type <type>').choices(['local', 'remote', 'virtual']).default('local'))
    .option('--public', 'everybody may read it')
    .option('--redeploy', 'a path may be given other bytes')
    .option('--immutable-tag <glob>', 'tags that are set once; can be given several times', several)
    .option('--quota <size>', 'such as 10GiB', quantity)
    .option('--project <key>', 'that it belongs to')
    .option('--upstream <url>', 'of a remote repository')
    .option('--description <text>')
    .option('--member <key>', 'of a virtual repository, first wins; can be given several times', several)
    .action(async (key: string, flags: CreateFlags) => {
      const made = record(await (await connect(flags, terminal)).json('POST', API, draftOf(key, flags)))
      print(terminal, flags, made, () => `Made ${key}: ${String(made.url)}`)
    })
}

function draftOf(key: string, flags: CreateFlags): Record<string, unknown> {
  const draft = {
    key,
    format: flags.format,
    repo_type: flags.type,
    is_public: flags.public,
    allow_redeploy: flags.redeploy,
    immutable_tags: flags.immutableTag,
    quota_bytes: flags.quota,
    project: flags.project,
    upstream_url: flags.upstream,
    description: flags.description,
    members: flags.member,
  }
  return Object.fromEntries(Object.entries(draft).filter(([, value]) => value !== undefined))
}

function showRepository(terminal: Terminal): Command {
  return clientCommand('show', 'one repository')
    .argument('<key>')
    .action(async (key: string, flags: ClientFlags) => {
      const found = record(await (await connect(flags, terminal)).json('GET', `${API}/${encodeURIComponent(key)}`))
      const shown = (name: string, value: unknown): unknown =>
        name.endsWith('_bytes') && value !== null ? size(value) : Array.isArray(value) ? value.join(' ') : value
      print(terminal, flags, found, () =>
        table(
          ['FIELD', 'VALUE'],
          Object.entries(found).map(([name, value]) => [name, shown(name, value)]),
        ),
      )
    })
}

function deleteRepository(terminal: Terminal): Command {
  return clientCommand('delete', 'remove a repository with everything in it')
    .argument('<key>')
    .requiredOption('--yes', 'needed: this takes away everything in it')
    .action(async (key: string, flags: ClientFlags) => {
      await (await connect(flags, terminal)).json('DELETE', `${API}/${encodeURIComponent(key)}`)
      print(terminal, flags, { key, removed: true }, () => `Removed ${key}`)
    })
}

interface MemberFlags extends ClientFlags {
  add?: string
  remove?: string
  priority?: number
}

function members(terminal: Terminal): Command {
  return clientCommand('members', 'members of a virtual repository, first wins; adds or removes one')
    .argument('<key>')
    .addOption(new Option('--add <member>').conflicts('remove'))
    .option('--remove <member>')
    .option('--priority <number>', 'of the added one; lower wins', wholeNumber(0, MAX_PRIORITY))
    .action(async (key: string, flags: MemberFlags) => {
      const client = await connect(flags, terminal)
      const path = `${API}/${encodeURIComponent(key)}/members`
      if (flags.add !== undefined)
        await client.json('POST', path, {
          member_key: flags.add,
          ...(flags.priority === undefined ? {} : { priority: flags.priority }),
        })
      if (flags.remove !== undefined) await client.json('DELETE', `${path}/${encodeURIComponent(flags.remove)}`)
      const { items } = record(await client.json('GET', path))
      const found = Array.isArray(items) ? items.map(record) : []
      print(terminal, flags, found, () =>
        table(
          ['PRIORITY', 'MEMBER'],
          found.map(({ priority, member_key }) => [priority, member_key]),
        ),
      )
    })
}
