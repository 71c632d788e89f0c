/** `cairn role …`: the built-in roles and one's own. */
import { Command, Option } from 'commander'
import { ACTIONS } from '../../protocol/access/roles.js'
import { type ClientFlags, connect, print, type Terminal, table } from '../terminal.js'
import { deleteCommand } from './delete.js'
import { clientCommand } from './options.js'

const API = '/api/v1/roles'

export function roleCommand(terminal: Terminal): Command {
  return new Command('role')
    .description('roles: names for what one may do')
    .addCommand(listRoles(terminal))
    .addCommand(createRole(terminal))
    .addCommand(deleteCommand(terminal, 'remove one of your own roles, which nobody has', API, 'name'))
}

function listRoles(terminal: Terminal): Command {
  return clientCommand('list', 'the built-in ones, then your own').action(async (flags: ClientFlags) => {
    const found = await (await connect(flags, terminal)).all(API)
    const row = ({ name, actions, is_built_in, description }: Record<string, unknown>) => [
      name,
      Array.isArray(actions) ? actions.join(' ') : '',
      is_built_in ? 'built in' : 'own',
      description,
    ]
    print(terminal, flags, found, () => table(['NAME', 'ACTIONS', 'KIND', 'DESCRIPTION'], found.map(row)))
  })
}

function createRole(terminal: Terminal): Command {
  return clientCommand('create', 'make a role')
    .argument('<name>')
    .addOption(
      new Option('--action <action...>', 'that it allows, one or several').choices(ACTIONS).makeOptionMandatory(),
    )
    .option('--description <text>')
    .action(async (name: string, flags: ClientFlags & { action: string[]; description?: string }) => {
      const draft = { name, actions: flags.action, description: flags.description }
      const made = await (await connect(flags, terminal)).json('POST', API, draft)
      print(terminal, flags, made, () => `Made ${name}`)
    })
}
