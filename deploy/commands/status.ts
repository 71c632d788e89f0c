/** `cairn status`: is a primary or node there, is it ready, and (for administrators) how its fleet is. */

import type { Command } from 'commander'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import { type Client, readText, record } from '../client.js'
import { type ClientFlags, connect, print, size, type Terminal, table } from '../terminal.js'
import { nodesTable } from './node.js'
import { clientCommand } from './options.js'

interface StatusFlags extends ClientFlags {
  mesh?: boolean
}

const MAX_BYTES = 1024 * 1024

export function statusCommand(terminal: Terminal): Command {
  return clientCommand('status', 'how a primary or a node is, and its fleet')
    .option('--mesh', 'where the bytes are, and what would be gone with one place; as administrator or auditor')
    .action((flags: StatusFlags) => (flags.mesh ? mesh(terminal, flags) : status(terminal, flags)))
}

async function status(terminal: Terminal, flags: ClientFlags): Promise<void> {
  const client = await connect(flags, terminal)
  const health = record(await client.json('GET', '/health'))
  const missing = await notReady(client)
  const nodes = health.part === 'primary' ? await fleet(client) : undefined
  const value = {
    url: client.url,
    ...health,
    ready: missing === undefined,
    ...(missing === undefined ? {} : { missing }),
    ...(nodes ? { nodes } : {}),
  }
  const fields = Object.entries(value).filter(([name]) => name !== 'nodes')
  print(terminal, flags, value, () =>
    [table(['FIELD', 'VALUE'], fields), ...(nodes ? ['', nodesTable(nodes), ...alarms(nodes)] : [])].join('\n'),
  )
  if (missing !== undefined) throw new RegistryError('unavailable', `It is not ready: ${missing}`)
}

async function mesh(terminal: Terminal, flags: ClientFlags): Promise<void> {
  const found = record(await (await connect(flags, terminal)).json('GET', '/api/v1/mesh'))
  print(terminal, flags, found, () => whereabouts(found))
}

function whereabouts({ share, silent, places, repositories }: Record<string, unknown>): string {
  const list = (value: unknown) => (Array.isArray(value) ? value.map(record) : [])
  const amount = (value: unknown) => `${record(value).blobs} (${size(record(value).bytes)})`
  const lines = [
    table(
      ['PLACE', 'NODES', 'HOLDS', 'NOWHERE ELSE'],
      list(places).map((place) => [place.place, place.nodes, amount(place), amount(place.only_here)]),
    ),
    '',
    table(
      ['REPOSITORY', 'HOLDS', 'COPIES', 'WITH ONE', 'WITH NONE'],
      list(repositories).map((one) => [one.key, amount(one), one.copies, amount(one.single), amount(one.none)]),
    ),
  ]
  if (Number(share) < 1) lines.push('', `Estimated from ${Number(share) * 100} % of all blobs.`)
  if (Number(silent) > 0) lines.push('', `${silent} connected nodes did not answer; they are not counted.`)
  return lines.join('\n')
}

function alarms(nodes: readonly Record<string, unknown>[]): string[] {
  return nodes.flatMap(({ name, alarm }) => (typeof alarm === 'string' ? [`ALARM from ${name}: ${alarm}`] : []))
}

async function notReady(client: Client): Promise<string | undefined> {
  const reply = await client.raw('GET', '/ready', { accept: [503], signal: deadline(30_000) })
  const text = await readText(reply, MAX_BYTES)
  if (reply.status === 200) return undefined
  try {
    const { detail, missing, reason } = record(JSON.parse(text))
    return String(missing ?? reason ?? detail ?? 'no reason given')
  } catch {
    return 'no reason given'
  }
}

/** undefined for who may not see it. */
async function fleet(client: Client): Promise<Record<string, unknown>[] | undefined> {
  try {
    return await client.all('/api/v1/edge-nodes?limit=1000')
  } catch (error) {
    if (error instanceof RegistryError && ['unauthenticated', 'forbidden', 'missing'].includes(error.kind))
      return undefined
    throw error
  }
}
