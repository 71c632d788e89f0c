/** Free TCP ports on loopback, below the range from which the kernel takes ports of its own accord. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

const FIRST = 20_000
const LAST = 30_000
const ATTEMPTS = 100
/** How far above those for clients `cairn up` puts the port for nodes, and the nodes' own for each other. */
const FLEET_OFFSET = 1000
const MESH_OFFSET = 2000

export async function freePort(): Promise<number> {
  return freeBlock([0])
}

/** The first of `count` ports in a row, with those free as well that `cairn up` takes besides. */
export async function freeBase(count: number): Promise<number> {
  const row = Array.from({ length: count }, (_, i) => i)
  return freeBlock([...row, ...row.map((i) => MESH_OFFSET + i), FLEET_OFFSET])
}

async function freeBlock(offsets: readonly number[]): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const base = randomInt(FIRST, LAST)
    const free = await Promise.all(offsets.map((offset) => isFree(base + offset)))
    if (free.every(Boolean)) return base
  }
  throw new Error('no free ports were found')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)))
  })
}
