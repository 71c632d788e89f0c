/** `cairn status`: is a primary or node there, is it ready, and (for administrators) how its fleet is. */
import type { Command } from 'commander'
import { RegistryError } from '../../protocol/errors.js'
import { type Client, readText, record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal, table } from '../terminal.js'
import { nodesTable } from './node.js'
import { clientCommand } from './options.js'

const MAX_BYTES = 1024 * 1024

export function statusCommand(terminal: Terminal): Command {
  return clientCommand('status', 'how a primary or a node is, and its fleet').action(async (flags: ClientFlags) => {
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
  })
}

function alarms(nodes: readonly Record<string, unknown>[]): string[] {
  return nodes.flatMap(({ name, alarm }) => (typeof alarm === 'string' ? [`ALARM from ${name}: ${alarm}`] : []))
}

async function notReady(client: Client): Promise<string | undefined> {
  const reply = await client.raw('GET', '/ready', { accept: [503], signal: AbortSignal.timeout(30_000) })
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
