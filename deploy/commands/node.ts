/** `cairn node`: runs a node; and its subcommands, with which an administrator looks after the fleet. */
import { Command } from 'commander'
import { RegistryError } from '../../protocol/errors.js'
import { record } from '../client.js'
import { type ClientFlags, connect, print, size, type Terminal, table } from '../terminal.js'
import { clientCommand, several, wholeNumber } from './options.js'
import { runsNode } from './run.js'

const API = '/api/v1/edge-nodes'

export function nodeCommand(terminal: Terminal): Command {
  const command = new Command('node')
    .description('run a node; or, with a subcommand, look after the fleet')
    .enablePositionalOptions()
  return runsNode(command, terminal)
    .addCommand(createNode(terminal))
    .addCommand(listNodes(terminal))
    .addCommand(removeNode(terminal))
    .addCommand(syncNode(terminal))
}

function createNode(terminal: Terminal): Command {
  return clientCommand('create', 'make a join token, for `cairn node --join`; or a join key')
    .alias('join-token')
    .argument('[name]')
    .option('--ephemeral', 'a join key, for any number of `cairn node --ephemeral` and `cairn run`')
    .option('--uses <count>', 'how many nodes may join with the key', wholeNumber(1, 1_000_000))
    .option('--days <count>', 'how long the key is good', wholeNumber(1, 3650))
    .option('--repository <pattern>', 'what it may hold; can be given several times; without: everything', several)
    .action(async (name: string | undefined, flags: ClientFlags & CreateFlags) => {
      const { ephemeral, uses, days } = flags
      if (!ephemeral && (uses ?? days) !== undefined)
        throw new RegistryError('invalid', '--uses and --days are for a join key: add --ephemeral', { code: 'usage' })
      const draft = {
        ...(ephemeral ? { ephemeral: { uses, expires_in_days: days } } : {}),
        ...(name === undefined ? {} : { name }),
        ...(flags.repository === undefined ? {} : { repositories: flags.repository }),
      }
      const made = record(await (await connect(flags, terminal)).json('POST', API, draft))
      print(terminal, flags, made, () => String(made.join_token))
    })
}

interface CreateFlags {
  repository?: string[]
  ephemeral?: boolean
  uses?: number
  days?: number
}

function listNodes(terminal: Terminal): Command {
  return clientCommand('list', 'nodes and how they are').action(async (flags: ClientFlags) => {
    const found = await (await connect(flags, terminal)).all(`${API}?limit=1000`)
    print(terminal, flags, found, () => nodesTable(found))
  })
}

export function nodesTable(nodes: readonly Record<string, unknown>[]): string {
  const row = (node: Record<string, unknown>) => [
    node.id,
    node.name,
    node.status,
    node.lag ?? '-',
    `${size(node.cache_used_bytes)} of ${size(node.cache_limit_bytes)}`,
    node.last_heartbeat ?? 'never',
    node.url ?? '-',
  ]
  return table(['ID', 'NAME', 'STATUS', 'LAG', 'CACHE', 'HEARD OF', 'URL'], nodes.map(row))
}

function removeNode(terminal: Terminal): Command {
  return clientCommand('remove', 'end a node’s membership: its certificate and join token')
    .argument('<id>')
    .action(async (id: string, flags: ClientFlags) => {
      await (await connect(flags, terminal)).json('DELETE', `${API}/${encodeURIComponent(id)}`)
      print(terminal, flags, { id, removed: true }, () => `Removed ${id}`)
    })
}

function syncNode(terminal: Terminal): Command {
  return clientCommand('sync', 'ask a node to fetch at once what its policies say')
    .argument('<id>')
    .action(async (id: string, flags: ClientFlags) => {
      const asked = record(await (await connect(flags, terminal)).json('POST', `${API}/${encodeURIComponent(id)}/sync`))
      print(terminal, flags, asked, () => `Asked at ${String(asked.sync_requested_at)}`)
    })
}
