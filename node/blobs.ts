/**
 * A node's bytes: its cache, else the mesh and the primary. What one reader fetches all readers share, and bytes are given on
 * while they still arrive, each piece verified first. Nothing is written here: a node forwards what clients publish.
 */
import { createHash, type Hash } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { HeldBytes, rangeWithin } from '../protocol/blobs/disk-bytes.js'
import type { Certificate } from '../protocol/certificate.js'
import { RegistryError } from '../protocol/errors.js'
import type { Blobs, Bytes, Upload } from '../protocol/ports.js'
import type { Digest, Held, Stored } from '../protocol/records.js'
import { Budget } from './mesh/budget.js'
import { type Clock, wallClock } from './mesh/clock.js'
import { type Fetched, Fetching, passing } from './mesh/fetching.js'
import { Limits } from './mesh/limits.js'
import type { Neighbours } from './mesh/neighbours.js'
import { isSmall } from './mesh/pieces.js'
import { PRIMARY } from './mesh/plan.js'
import type { PrimaryBytes } from './mesh/primary-bytes.js'
import { type Entitled, type Holdings, Serving } from './mesh/serving.js'
import { Slots } from './mesh/slots.js'
import { MeshSwarm } from './mesh/swarm.js'
import { Transfer } from './mesh/transfer.js'
import type { Store } from './store.js'

export interface NodeBlobsOptions {
  cache: Store
  mesh: Neighbours
  primary: PrimaryBytes
  /** May the certificate's owner have the blob as one of the scope: then its record as this node has it. */
  entitled: Entitled
  /** May the certificate's owner hold what belongs to the scope. */
  covers: (certificate: Certificate, scope: string) => boolean
  limits?: Limits
  /** Memory for pieces that arrive, over all transfers. Default 16 MiB. */
  budgetBytes?: number
  clock?: Clock
  random?: () => number
  /** How long a transfer goes on without readers. Default 5 s. */
  lingerMs?: number
}

const BUDGET_BYTES = 16_777_216
/** Small blobs fetched at once. */
const SMALL_AT_ONCE = 64
const EMPTY_ROOT = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

interface SmallFlight {
  fetched: Promise<Fetched>
  /** The bytes are in the cache, or will not be. */
  done: Promise<void>
}

export class NodeBlobs implements Blobs {
  readonly #options: NodeBlobsOptions
  readonly #cache: Store
  readonly #swarm: MeshSwarm
  readonly #serving: Serving
  readonly #primary: PrimaryBytes
  readonly #budget: Budget
  readonly #transfers = new Map<Digest, Transfer>()
  readonly #starting = new Map<Digest, Promise<Transfer | undefined>>()
  readonly #ending = new Set<Promise<void>>()
  readonly #flights = new Map<Digest, SmallFlight>()
  readonly #smallSlots = new Slots(SMALL_AT_ONCE, Number.POSITIVE_INFINITY)
  readonly #repairing = new Set<Digest>()
  readonly #stop = new AbortController()

  constructor(options: NodeBlobsOptions) {
    setMaxListeners(0, this.#stop.signal)
    this.#options = options
    this.#cache = options.cache
    const { clock = wallClock } = options
    const now = () => clock.now()
    const limits = options.limits ?? new Limits({}, now)
    this.#swarm = new MeshSwarm(options.mesh, options.covers, now, limits)
    this.#primary = limited(options.primary, limits)
    this.#budget = new Budget(options.budgetBytes ?? BUDGET_BYTES)
    this.#cache.heal((...damage) => this.repair(...damage))
    this.#serving = new Serving(options.mesh, this.#holdings(), options.entitled, limits, clock)
  }

  /** Bytes of pieces sent to peers since the start. */
  get served(): number {
    return this.#serving.served
  }

  /** Bytes of pieces that peers sent since the start. */
  get received(): number {
    return this.#swarm.received
  }

  /** Blobs that are arriving. */
  get arriving(): number {
    return this.#transfers.size + this.#flights.size
  }

  /** Ends all transfers; their readers get `unavailable`. */
  async close(): Promise<void> {
    this.#stop.abort(new RegistryError('unavailable', 'The node is stopping', { retryAfter: 5 }))
    await Promise.allSettled([...this.#starting.values(), ...[...this.#flights.values()].map(({ done }) => done)])
    await Promise.all([...this.#transfers.values()].map((transfer) => transfer.close()))
    await Promise.all(this.#ending)
  }

  /** Resolves once bytes are at hand. Throws `unavailable` when nobody who can be reached has them. */
  async open(file: Held | Stored, scope: string): Promise<Bytes> {
    const name = 'path' in file ? file.path : file.digest
    if (file.size === 0) return emptyBytes(file)
    const cached = await this.#cached(file, scope)
    if (cached) return cached
    this.#stop.signal.throwIfAborted()
    if (isSmall(file.size)) {
      const { bytes, source } = await this.#small(file, scope, name)
      return new HeldBytes(bytes, source)
    }
    const transfer = await this.#begin(file, scope, name)
    if (!transfer) return this.#pass(file, scope, name)
    try {
      return this.#arriving(file, scope, name, transfer, await transfer.begun())
    } catch (error) {
      if (!isDisk(error)) throw error
      return this.#pass(file, scope, name)
    }
  }

  async has(digest: Digest): Promise<boolean> {
    return this.#cache.has(digest)
  }

  /**
   * Takes in a body whose record is still to come, so that it need not be fetched again, and tells what it was. Without room, or
   * when the disk takes no more, it is not kept.
   */
  async take(body: AsyncIterable<Uint8Array>, size: number | undefined): Promise<Digest> {
    const hash = createHash('sha256')
    const passing = hashed(body, hash)
    const room = size === undefined ? undefined : this.#cache.reserve(size)
    try {
      if (room) room.keep(await this.#cache.disk.write(unended(passing), { limit: room.size }))
    } catch (error) {
      if (!isDisk(error)) throw error
    } finally {
      room?.release()
    }
    for await (const _ of passing);
    return hash.digest('hex') as Digest
  }

  async settled(digest: Digest): Promise<void> {
    await this.#flights.get(digest)?.done
    await this.#transfers.get(digest)?.done
  }

  /** For the cache: right bytes in place of damaged ones, from peers or the primary. */
  async repair(
    stored: Stored,
    scope: string,
    start: number,
    end: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    this.#repairing.add(stored.digest)
    try {
      const parts: Uint8Array[] = []
      for await (const { bytes } of this.#fetching(stored, scope, stored.digest).read(start, end, signal))
        parts.push(bytes)
      return Buffer.concat(parts)
    } catch {
      // Nobody has them: the reader is told that its bytes are damaged.
      return undefined
    } finally {
      this.#repairing.delete(stored.digest)
    }
  }

  write(): Promise<Stored> {
    return Promise.reject(readOnly())
  }

  begin(): Promise<Upload> {
    return Promise.reject(readOnly())
  }

  resume(): Promise<Upload | undefined> {
    return Promise.reject(readOnly())
  }

  /** Damage that nobody could heal is not the end: the blob left the cache, and is fetched anew. */
  async #cached(file: Held | Stored, scope: string): Promise<Bytes | undefined> {
    try {
      return await this.#cache.open(file, scope)
    } catch (error) {
      if (error instanceof RegistryError && (error.kind === 'corrupt' || error.kind === 'unavailable')) return undefined
      throw error
    }
  }

  /**
   * What is read while it arrives; once it is here, and for later readers of the same Bytes, the cache has it. When the disk
   * takes no more the reader goes on with bytes that are not kept.
   */
  #arriving(file: Held | Stored, scope: string, name: string, transfer: Transfer, source: 'peer' | 'primary'): Bytes {
    const reopen = async (): Promise<Bytes> => (await this.#cached(file, scope)) ?? this.open(file, scope)
    const gone = (): boolean => this.#transfers.get(file.digest) !== transfer || !transfer.open
    const pass = (): Promise<Bytes> => this.#pass(file, scope, name)
    return {
      size: file.size,
      source,
      read: async function* (range, signal) {
        const { start, end } = rangeWithin(file.size, range)
        if (gone()) return yield* (await reopen()).read({ start, end }, signal)
        let at = start
        try {
          for await (const chunk of transfer.read(start, end, signal)) {
            yield chunk
            at += chunk.length
          }
        } catch (error) {
          if (!isDisk(error)) throw error
          yield* (await pass()).read({ start: at, end }, signal)
        }
      },
    }
  }

  async #pass(file: Held | Stored, scope: string, name: string): Promise<Bytes> {
    const fetching = this.#fetching(file, scope, name)
    const { source } = await fetching.piece(0, this.#stop.signal)
    return passing(fetching, file.size, source)
  }

  #fetching(stored: Stored, scope: string, name: string): Fetching {
    return new Fetching({ stored, scope, name, swarm: this.#swarm, primary: this.#primary })
  }

  // Small blobs.

  #small(stored: Stored, scope: string, name: string): Promise<Fetched> {
    const known = this.#flights.get(stored.digest)
    if (known) return known.fetched
    const fetched = this.#fetchSmall(stored, scope, name)
    const done = fetched
      .then(({ bytes }) => this.#cache.keep(stored, bytes))
      // A cache that cannot keep it costs the next reader a fetch, and this one nothing.
      .catch(() => undefined)
      .finally(() => {
        this.#flights.delete(stored.digest)
        this.#smallSlots.leave()
      })
    this.#flights.set(stored.digest, { fetched, done })
    return fetched
  }

  async #fetchSmall(stored: Stored, scope: string, name: string): Promise<Fetched> {
    await this.#smallSlots.enter(new AbortController().signal)
    return this.#fetching(stored, scope, name).piece(0, this.#stop.signal)
  }

  // Transfers.

  /** undefined when the cache has no room for it, or its disk takes nothing. */
  #begin(stored: Stored, scope: string, name: string): Promise<Transfer | undefined> {
    const running = this.#transfers.get(stored.digest)
    if (running) return Promise.resolve(running)
    const starting =
      this.#starting.get(stored.digest) ??
      this.#start(stored, scope, name).finally(() => this.#starting.delete(stored.digest))
    this.#starting.set(stored.digest, starting)
    return starting
  }

  async #start(stored: Stored, scope: string, name: string): Promise<Transfer | undefined> {
    const room = this.#cache.reserve(stored.size)
    if (!room) return undefined
    const partial = await this.#cache.partial(stored).catch((error: unknown) => {
      room.release()
      if (!isDisk(error)) throw error
    })
    if (!partial) return undefined
    const { clock = wallClock, random = Math.random, lingerMs } = this.#options
    const parts = {
      stored,
      scope,
      name,
      partial,
      swarm: this.#swarm,
      primary: this.#primary,
      budget: this.#budget,
      clock,
      random,
    }
    const transfer = new Transfer({ ...parts, ...(lingerMs === undefined ? {} : { lingerMs }) })
    this.#transfers.set(stored.digest, transfer)
    const ending = transfer.done.then((outcome) => {
      if (outcome === 'complete') room.keep(stored)
      else room.release()
      this.#transfers.delete(stored.digest)
      this.#ending.delete(ending)
    })
    this.#ending.add(ending)
    return transfer
  }

  #holdings(): Holdings {
    return {
      disk: this.#cache.disk,
      holds: (digest) => this.#cache.has(digest) && !this.#repairing.has(digest),
      transfer: (digest) => this.#transfers.get(digest),
      begin: (stored, scope) => this.#begin(stored, scope, stored.digest),
      small: async (stored, scope) => (await this.#small(stored, scope, stored.digest)).bytes,
    }
  }
}

/** The primary counts like a peer. */
function limited(primary: PrimaryBytes, limits: Limits): PrimaryBytes {
  const { signal: never } = new AbortController()
  return {
    get reachable() {
      return primary.reachable
    },
    leaves: (stored, scope, signal) => primary.leaves(stored, scope, signal),
    read: async function* (stored, scope, start, end, signal) {
      for await (const chunk of primary.read(stored, scope, start, end, signal)) {
        await limits.download(PRIMARY, chunk.length, signal ?? never)
        yield chunk
      }
    },
  }
}

function emptyBytes(file: Stored): Bytes {
  if (file.root !== EMPTY_ROOT) throw new RegistryError('corrupt', `The record of ${file.digest} contradicts itself`)
  return new HeldBytes(new Uint8Array(0), 'cache')
}

async function* hashed(body: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of body) {
    hash.update(chunk)
    yield chunk
  }
}

/** Whoever leaves it early does not end it for others. */
function unended(body: AsyncGenerator<Uint8Array, void, undefined>): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => ({ next: () => body.next() }) }
}

/** The disk failed, not the bytes: they can still be passed on. */
function isDisk(error: unknown): boolean {
  return error instanceof RegistryError && (error.code.startsWith('disk_') || error.code === 'too_many_files')
}

function readOnly(): RegistryError {
  return new RegistryError('unsupported', 'A node keeps no bytes of its own: writes go to the primary')
}
