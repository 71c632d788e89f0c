/**
 * Machines with slow links on one machine: a network namespace each, with two cables. One is shaped in both directions (tbf), for
 * what is measured; the other is not, for clients and counters. Needs root, `ip` and `tc`.
 */
import { execFile } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Rig } from './rig.js'

export interface Host {
  /** Address on the shaped network, for the mesh and the primary's nodes. */
  address: string
  /** Address on the other one, which this process reaches as well. */
  side: string
  /** Before a command, so that it runs on this host. */
  prefix: readonly string[]
  /** Bytes on the shaped cable so far, all headers included. */
  counted(): Promise<{ sent: number; received: number }>
}

const run = promisify(execFile)

/** undefined, with the reason, where it cannot be had. */
export async function network(
  rig: Rig,
  { hosts, mbit }: { hosts: number; mbit: number },
): Promise<Host[] | { missing: string }> {
  if (process.getuid?.() !== 0) return { missing: 'network namespaces need root' }
  const number = randomInt(1, 200)
  try {
    const bridges = { shaped: `cw${number}`, side: `cs${number}` }
    for (const bridge of Object.values(bridges)) await link(rig, bridge)
    await run('ip', ['address', 'add', `10.78.${number}.254/24`, 'dev', bridges.side])
    return await Promise.all(Array.from({ length: hosts }, (_, at) => newHost(rig, bridges, number, at + 1, mbit)))
  } catch (error) {
    return { missing: `network namespaces cannot be made here (${(error as Error).message.split('\n')[0]})` }
  }
}

async function link(rig: Rig, bridge: string): Promise<void> {
  await run('ip', ['link', 'add', bridge, 'type', 'bridge'])
  rig.onClose(async () => void (await run('ip', ['link', 'delete', bridge])))
  await run('ip', ['link', 'set', bridge, 'up'])
}

async function newHost(
  rig: Rig,
  bridges: { shaped: string; side: string },
  number: number,
  at: number,
  mbit: number,
): Promise<Host> {
  const space = `cairn-${number}-${at}`
  const [address, side] = [`10.77.${number}.${at}`, `10.78.${number}.${at}`]
  await run('ip', ['netns', 'add', space])
  rig.onClose(async () => void (await run('ip', ['netns', 'delete', space])))
  const inside = (...args: string[]) => run('ip', ['-n', space, ...args])
  await inside('link', 'set', 'lo', 'up')
  const cable = `cw${number}-${at}`
  for (const [bridge, name, device, ip] of [
    [bridges.shaped, cable, 'shaped', address],
    [bridges.side, `cs${number}-${at}`, 'side', side],
  ] as const) {
    await run('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', device, 'netns', space])
    await run('ip', ['link', 'set', name, 'master', bridge, 'up'])
    await inside('address', 'add', `${ip}/24`, 'dev', device)
    await inside('link', 'set', device, 'up')
  }
  const shape = ['root', 'tbf', 'rate', `${mbit}mbit`, 'burst', '256kb', 'latency', '50ms']
  await run('tc', ['qdisc', 'add', 'dev', cable, ...shape])
  await run('tc', ['-n', space, 'qdisc', 'add', 'dev', 'shaped', ...shape])
  // Of the cable's other end: what it receives is what the host sends.
  const bytes = async (way: string) => Number(await readFile(`/sys/class/net/${cable}/statistics/${way}_bytes`, 'utf8'))
  return {
    address,
    side,
    prefix: ['ip', 'netns', 'exec', space],
    counted: async () => ({ sent: await bytes('rx'), received: await bytes('tx') }),
  }
}
