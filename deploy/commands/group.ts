/** `cairn group …`: groups and who is in them. */
import { Command } from 'commander'
import { printable, record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal, table } from '../terminal.js'
import { deleteCommand } from './delete.js'
import { clientCommand, several } from './options.js'

const API = '/api/v1/groups'

export function groupCommand(terminal: Terminal): Command {
  return new Command('group')
    .description('groups of users')
    .addCommand(listGroups(terminal))
    .addCommand(createGroup(terminal))
    .addCommand(members(terminal))
    .addCommand(deleteCommand(terminal, 'remove a group with what was granted to it; its members stay', API, 'name'))
}

function listGroups(terminal: Terminal): Command {
  return clientCommand('list', 'all groups').action(async (flags: ClientFlags) => {
    const found = await (await connect(flags, terminal)).all(`${API}?limit=1000`)
    const row = ({ name, members: count, description }: Record<string, unknown>) => [name, count, description]
    print(terminal, flags, found, () => table(['NAME', 'MEMBERS', 'DESCRIPTION'], found.map(row)))
  })
}

function createGroup(terminal: Terminal): Command {
  return clientCommand('create', 'make a group')
    .argument('<name>')
    .option('--description <text>')
    .option('--member <user>', 'can be given several times', several)
    .action(async (name: string, flags: ClientFlags & { description?: string; member?: string[] }) => {
      const client = await connect(flags, terminal)
      await client.json('POST', API, { name, description: flags.description })
      for (const user of flags.member ?? []) await client.json('PUT', memberAddress(name, user))
      print(terminal, flags, { name, members: flags.member ?? [] }, () => `Made ${name}`)
    })
}

function members(terminal: Terminal): Command {
  return clientCommand('members', 'who is in a group; adds or removes somebody')
    .argument('<name>')
    .option('--add <user>', 'can be given several times', several)
    .option('--remove <user>', 'can be given several times', several)
    .action(async (name: string, flags: ClientFlags & { add?: string[]; remove?: string[] }) => {
      const client = await connect(flags, terminal)
      for (const user of flags.add ?? []) await client.json('PUT', memberAddress(name, user))
      for (const user of flags.remove ?? []) await client.json('DELETE', memberAddress(name, user))
      const { members: found } = record(await client.json('GET', `${API}/${encodeURIComponent(name)}`))
      const names = Array.isArray(found) ? found.map((user) => printable(String(user))) : []
      print(terminal, flags, names, () => names.join('\n'))
    })
}

function memberAddress(group: string, user: string): string {
  return `${API}/${encodeURIComponent(group)}/members/${encodeURIComponent(user)}`
}
