/** Nodes with cache, mesh and NodeBlobs around a fake primary that counts what leaves it. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NodeBlobs, type NodeBlobsOptions } from '../../../node/blobs.js'
import { Cache } from '../../../node/cache.js'
import type { Mesh } from '../../../node/mesh/mesh.js'
import type { PrimaryBytes } from '../../../node/mesh/primary-bytes.js'
import { hashBody } from '../../../protocol/blobs/hashing.js'
import type { Certificate } from '../../../protocol/certificate.js'
import { RegistryError } from '../../../protocol/errors.js'
import { matchesAny } from '../../../protocol/glob.js'
import type { Stored } from '../../../protocol/records.js'
import { connectAll, newRig, type Rig } from './rig.js'

export interface Blob {
  bytes: Buffer
  stored: Stored
  leaves: Uint8Array
  scope: string
}

export interface TestNode {
  name: string
  mesh: Mesh
  cache: Cache
  blobs: NodeBlobs
  read(blob: Blob, range?: { start: number; end: number }): Promise<{ body: Buffer; source: string }>
  /** Resolves when the blob is in the cache: readers have all bytes a little earlier. */
  kept(blob: Blob): Promise<void>
  /** Where the cache keeps the blob's bytes. */
  path(blob: Blob): string
  stop(): Promise<void>
}

export interface SwarmRig {
  rig: Rig
  primary: FakePrimary
  nodes: TestNode[]
  blob(size: number, scope?: string): Promise<Blob>
  node(name: string, options?: NodeOptions): Promise<TestNode>
  connect(nodes?: TestNode[]): Promise<void>
  close(): Promise<void>
}

export interface NodeOptions extends Partial<NodeBlobsOptions> {
  site?: string
  repositories?: string[]
  limit?: number
}

const REPOSITORIES: Record<string, string> = { s1: 'public', s2: 'secret' }
const CHUNK = 65_536

class FakePrimary implements PrimaryBytes {
  reachable = true
  /** Bytes of blobs that left it. */
  sent = 0
  reads = 0
  readonly blobs = new Map<string, Blob>()
  /** Known, and gone. */
  readonly lost = new Set<string>()
  /** Called before each chunk; whoever awaits in it slows the primary down. */
  pace: () => Promise<void> = () => Promise.resolve()

  async *read(stored: Stored, _: string, start: number, end: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    this.reads++
    for (let at = start; at < end; at += CHUNK) {
      await this.pace()
      await new Promise((resolve) => setImmediate(resolve))
      signal?.throwIfAborted()
      const chunk = this.#blob(stored).bytes.subarray(at, Math.min(at + CHUNK, end))
      this.sent += chunk.length
      yield chunk
    }
  }

  async leaves(stored: Stored): Promise<Uint8Array> {
    await this.pace()
    return this.#blob(stored).leaves
  }

  #blob(stored: Stored): Blob {
    const blob = this.blobs.get(stored.digest)
    if (!this.reachable || !blob || this.lost.has(stored.digest))
      throw new RegistryError('unavailable', 'The primary is away')
    return blob
  }
}

function covers(certificate: Certificate, scope: string): boolean {
  return matchesAny(certificate.repositories, REPOSITORIES[scope] ?? 'none')
}

export async function newSwarmRig(): Promise<SwarmRig> {
  const rig = newRig()
  const primary = new FakePrimary()
  const dir = await mkdtemp(join(tmpdir(), 'cairn-swarm-'))
  const nodes: TestNode[] = []
  return {
    rig,
    primary,
    nodes,
    blob: (size, scope = 's1') => newBlob(primary, size, scope),
    node: async (name, options) => {
      const node = await newNode(rig, primary, join(dir, name), name, options)
      nodes.push(node)
      return node
    },
    connect: (some = nodes) => connectAll(some.map(({ mesh }) => mesh)),
    close: async () => {
      await Promise.all(nodes.map((node) => node.stop()))
      await rig.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function newBlob(primary: FakePrimary, size: number, scope: string): Promise<Blob> {
  const bytes = randomBytes(size)
  const { stored, leaves } = await hashBody(
    (async function* () {
      yield bytes
    })(),
    { limit: size },
  )
  const blob = { bytes, stored, leaves, scope }
  primary.blobs.set(stored.digest, blob)
  return blob
}

async function newNode(
  rig: Rig,
  primary: FakePrimary,
  dir: string,
  name: string,
  options: NodeOptions = {},
): Promise<TestNode> {
  const { repositories = ['*'], limit = 1e9, site, ...rest } = options
  const mesh = await rig.join(name, { repositories }, { site })
  const cache = await Cache.open(dir, { limit, onFault: (error) => rig.faults.push(error) })
  const entitled = (certificate: Certificate, scope: string, digest: string): Stored | undefined => {
    const blob = primary.blobs.get(digest)
    return covers(certificate, scope) && blob?.scope === scope ? blob.stored : undefined
  }
  const blobs = new NodeBlobs({ cache, mesh, primary, entitled, covers, ...rest })
  let stopped: Promise<void> | undefined
  return {
    name,
    mesh,
    cache,
    blobs,
    kept: async ({ stored }) => {
      while (!cache.has(stored.digest)) await new Promise((resolve) => setImmediate(resolve))
    },
    path: ({ stored }) => join(dir, 'blobs', stored.digest.slice(0, 2), stored.digest),
    read: (blob, range) => readAll(blobs, blob, range),
    stop: () => {
      stopped ??= mesh.close().then(async () => {
        await blobs.close()
        await cache.close()
      })
      return stopped
    },
  }
}

async function readAll(blobs: NodeBlobs, blob: Blob, range?: { start: number; end: number }) {
  const bytes = await blobs.open({ ...blob.stored, path: '/the/file' }, blob.scope)
  const parts: Buffer[] = []
  for await (const chunk of bytes.read(range)) parts.push(Buffer.from(chunk))
  return { body: Buffer.concat(parts), source: bytes.source }
}
