/**
 * The ground for tables of bad inputs: a primary and a node as processes, watched from outside. After the rows both processes are
 * the same ones, have not grown by 64 MiB, have nothing new in their log and no temporary file, and said no secret.
 */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { until } from '../support/fleet.js'
import { type Part, type ProcessFleet, processFleet } from '../support/processes.js'

export interface Watched {
  fleet: ProcessFleet
  parts: Part[]
  primary: string
  node: string
  /** Both, for rows that are sent to each. */
  sides: [name: string, url: () => string][]
  /** Settled, and looked at: what is compared with afterwards. */
  begin(): Promise<void>
  /** Nothing happened since. `secrets`: what must not be in any log. */
  end(secrets?: string[]): Promise<void>
  close(): Promise<void>
}

const GROWTH_BYTES = 128 * 1024 * 1024

export async function watched(): Promise<Watched> {
  const fleet = await processFleet({ nodes: 1, primary: { logLevel: 'info' }, node: { logLevel: 'info' } })
  const parts = [fleet.primary, ...fleet.nodes]
  const [primary, node] = parts.map(({ url }) => url) as [string, string]
  let before: Look[] = []
  return {
    fleet,
    parts,
    primary,
    node,
    sides: [
      ['primary', () => primary],
      ['node', () => node],
    ],
    begin: async () => {
      await until(async () => (await number(node)) === (await number(primary)))
      before = await Promise.all(parts.map(look))
    },
    end: async (secrets = []) => {
      await until(async () => (await Promise.all(parts.map(temporary))).flat().length === 0)
      const after = await Promise.all(parts.map(look))
      for (const [index, part] of parts.entries()) {
        const [a, b] = [before[index], after[index]]
        assert.ok(a && b)
        assert.equal(part.exit, undefined, part.output)
        assert.equal(b.pid, a.pid)
        assert.equal(b.number, a.number, 'something was recorded')
        assert.ok(b.bytes - a.bytes < GROWTH_BYTES, `${part.url} grew by ${b.bytes - a.bytes} bytes`)
        for (const secret of secrets) assert.ok(!part.output.includes(secret), 'a secret is in a log')
        assert.ok(!/"stack"/.test(part.output), part.output)
      }
    },
    close: () => fleet.close(),
  }
}

interface Look {
  pid: number
  number: number
  /** Resident. */
  bytes: number
}

async function look(part: Part): Promise<Look> {
  const status = await readFile(`/proc/${part.pid}/status`, 'utf8').catch(() => '')
  const [, kilobytes = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(status) ?? []
  return { pid: part.pid, number: await number(part.url), bytes: Number(kilobytes) * 1024 }
}

async function number(url: string): Promise<number> {
  return ((await (await fetch(`${url}/health`)).json()) as { number: number }).number
}

async function temporary({ settings }: Part): Promise<string[]> {
  const folder = 'fleetPort' in settings ? 'store' : 'cache'
  return readdir(join(settings.data, folder, 'incoming'))
}
