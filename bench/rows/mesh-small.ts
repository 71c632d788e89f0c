/** Ten thousand small blobs that no node has, through the mesh and directly from the primary. */
import { randomBytes } from 'node:crypto'
import type { Bench, Context, Row } from '../bench.js'
import { load } from '../rig/load.js'
import { type Host, network } from '../rig/network.js'
import { type Office, office } from '../rig/office.js'
import { median } from '../statistics.js'

export const meshSmall: Bench = {
  name: 'mesh-small',
  title: '10,000 blobs of 20 kB, cold, through the mesh ÷ directly from the primary by HTTP keep-alive',
  run,
}

const NODES = 4
const MBIT = 100
const BLOB_BYTES = 20_000
const CLIENTS = 32
const PUTS = 16

async function run({ rig, quick, say }: Context): Promise<Row[]> {
  const hosts = await network(rig, { hosts: NODES + 1, mbit: MBIT })
  if ('missing' in hosts) return [{ what: meshSmall.title, skipped: hosts.missing }]
  const fleet = await office(rig, { nodes: NODES, hosts })
  const count = quick ? 2000 : 10_000
  const [mesh, direct]: number[][] = [[], []]
  for (let round = 0; round < (quick ? 2 : 5); round++) {
    const paths = await published(fleet, round, count)
    // The last node's client, on that node's host: both ways end with its link.
    const client = hosts[NODES]
    const [node, primary] = [`http://127.0.0.1:${8080 + NODES}`, `http://${hosts[0]?.address}:8080`]
    mesh?.push(await fetched(client, node, paths))
    direct?.push(await fetched(client, primary, paths))
    say(`${mesh?.at(-1)?.toFixed(1)} s through the mesh, ${direct?.at(-1)?.toFixed(1)} s directly`)
  }
  const ratios = (mesh ?? []).map((seconds, at) => seconds / (direct?.[at] ?? Number.NaN))
  return [
    {
      what: `${count} blobs of 20 kB, cold, through the mesh ÷ directly from the primary`,
      value: median(ratios),
      unit: 'x',
      must: { be: 'at most', value: 1.2 },
      raw: { 'through the mesh, s': mesh ?? [], 'directly, s': direct ?? [], ratio: ratios },
      notes: [
        `${CLIENTS} kept-alive connections from the host of one of ${NODES} nodes, links of ${MBIT} Mbit/s. Nobody has the blobs: three of four come from another node that fetches them.`,
      ],
    },
  ]
}

async function published(fleet: Office, round: number, count: number): Promise<string[]> {
  const paths = Array.from({ length: count }, (_, at) => `${fleet.base}/small/${round}/${at}.bin`)
  let next = 0
  const put = async (): Promise<void> => {
    for (let path = paths[next++]; path !== undefined; path = paths[next++])
      await fleet.rest.put(path, randomBytes(BLOB_BYTES))
  }
  await Promise.all(Array.from({ length: PUTS }, put))
  await fleet.settled()
  return paths
}

async function fetched(client: Host | undefined, url: string, paths: readonly string[]): Promise<number> {
  const targets = paths.map((path) => ({ url, path }))
  const requestsEach = Math.floor(paths.length / CLIENTS)
  const options = { targets, clients: [{ count: CLIENTS }], stride: CLIENTS, requestsEach, maxMs: 200_000 }
  const report = await load('drain', options, 220_000, client?.prefix)
  if (report.requests !== requestsEach * CLIENTS) throw new Error(`only ${report.requests} blobs were served`)
  return report.seconds
}
