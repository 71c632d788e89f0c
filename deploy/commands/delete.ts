/** `cairn … delete`, for what has an address of its own in the REST interface. */
import type { Command } from 'commander'
import { type ClientFlags, connect, print, type Terminal } from '../terminal.js'
import { clientCommand } from './options.js'

/** `list`: the address of all of them; `named`: what one is called by. */
export function deleteCommand(terminal: Terminal, summary: string, list: string, named: string): Command {
  return clientCommand('delete', summary)
    .argument(`<${named}>`)
    .action(async (name: string, flags: ClientFlags) => {
      await (await connect(flags, terminal)).json('DELETE', `${list}/${encodeURIComponent(name)}`)
      print(terminal, flags, { [named]: name, removed: true }, () => `Removed ${name}`)
    })
}
