/** `cairn lease …`: names that one node publishes, also while it is cut off. */
import { Command } from 'commander'
import { record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal, table } from '../terminal.js'
import { clientCommand, wholeNumber } from './options.js'

const API = '/api/v1/leases'
const DAYS = wholeNumber(1, 366)

export function leaseCommand(terminal: Terminal): Command {
  return new Command('lease')
    .description('names that one node publishes, also while it is cut off')
    .addCommand(createLease(terminal))
    .addCommand(listLeases(terminal))
    .addCommand(renewLease(terminal))
    .addCommand(endLease(terminal))
    .addCommand(voidLease(terminal))
}

function createLease(terminal: Terminal): Command {
  return clientCommand('create', 'let one node, and nobody else, publish what has certain names')
    .argument('<repository>')
    .argument('<names...>', 'what names of packages begin with, and a "*": @acme/*')
    .requiredOption('--node <name>', 'name or id')
    .option('--days <count>', 'how long; without: 30', DAYS)
    .action(async (repository: string, names: string[], flags: ClientFlags & { node: string; days?: number }) => {
      const { node, days } = flags
      const draft = { repository, names, node, ...(days === undefined ? {} : { days }) }
      const made = record(await (await connect(flags, terminal)).json('POST', API, draft))
      print(terminal, flags, made, () => `${String(made.id)} until ${String(made.until)}`)
    })
}

function listLeases(terminal: Terminal): Command {
  return clientCommand('list', 'all leases').action(async (flags: ClientFlags) => {
    const found = await (await connect(flags, terminal)).all(`${API}?limit=1000`)
    const row = ({ id, repository, node, node_name, names, status, until, closed_by }: Record<string, unknown>) => [
      id,
      repository,
      node_name ?? node,
      Array.isArray(names) ? names.join(' ') : '',
      status === 'closed' ? `closed by ${String(closed_by)}` : status,
      until,
    ]
    const heads = ['ID', 'REPOSITORY', 'NODE', 'NAMES', 'STATUS', 'UNTIL']
    print(terminal, flags, found, () => table(heads, found.map(row)))
  })
}

function renewLease(terminal: Terminal): Command {
  return clientCommand('renew', 'let a lease last longer, from now')
    .argument('<id>')
    .requiredOption('--days <count>', 'how long', DAYS)
    .action(async (id: string, flags: ClientFlags & { days: number }) => {
      const lease = record(await (await connect(flags, terminal)).json('POST', at(id, 'renew'), { days: flags.days }))
      print(terminal, flags, lease, () => `${id} until ${String(lease.until)}`)
    })
}

function endLease(terminal: Terminal): Command {
  return clientCommand('end', 'end a lease; its names open once the node has reported')
    .argument('<id>')
    .action(async (id: string, flags: ClientFlags) => {
      const lease = record(await (await connect(flags, terminal)).json('POST', at(id, 'end')))
      print(terminal, flags, lease, () => `${id} is ${String(lease.status)}`)
    })
}

function voidLease(terminal: Terminal): Command {
  return clientCommand('void', 'give up what waits at the node, for ever; all of it ("*") closes the lease')
    .argument('<id>')
    .argument('<names>', 'what names of packages begin with, and a "*"')
    .requiredOption('--reason <text>', 'kept with the lease')
    .action(async (id: string, names: string, flags: ClientFlags & { reason: string }) => {
      const { reason } = flags
      const lease = record(await (await connect(flags, terminal)).json('POST', at(id, 'void'), { names, reason }))
      print(terminal, flags, lease, () => `${id} is ${String(lease.status)}`)
    })
}

function at(id: string, verb: string): string {
  return `${API}/${encodeURIComponent(id)}/${verb}`
}
