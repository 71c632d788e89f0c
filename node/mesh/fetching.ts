/**
 * Single verified pieces, without a transfer: small blobs whole in one round trip, and blobs that the cache cannot keep, piece by
 * piece. The home is asked first, then the primary, then everybody who is connected.
 */

import { verifyPiece } from '../../protocol/blobs/piece.js'
import { leavesOf } from '../../protocol/blobs/trees.js'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import { HASH_BYTES, isRoot, rootOf } from '../../protocol/merkle.js'
import type { Bytes } from '../../protocol/ports.js'
import type { Stored } from '../../protocol/records.js'
import type { PieceAnswer, PieceAsk } from '../../protocol/wire/swarm.js'
import { homes, homesNearFirst } from './homes.js'
import { nobodyHas } from './nobody.js'
import { type Geometry, geometryOf, type Span, spanOf } from './pieces.js'
import type { PrimaryBytes } from './primary-bytes.js'
import { type Attempt, staggered } from './staggered.js'
import { isRubbish, type Swarm } from './swarm.js'

export interface Fetched {
  bytes: Uint8Array
  source: 'peer' | 'primary'
}

const STAGGER_MS = 1500
const DEADLINE_MS = 60_000
const EVERYBODY = 64
const AHEAD = 3

/** What a blob's pieces are fetched with. `leaves`: of the whole blob, asked for once when the primary is needed. */
export class Fetching {
  readonly #stored: Stored
  readonly #scope: string
  readonly #name: string
  readonly #swarm: Swarm
  readonly #primary: PrimaryBytes
  readonly #geometry: Geometry
  #leaves: Promise<Uint8Array> | undefined

  constructor(parts: { stored: Stored; scope: string; name: string; swarm: Swarm; primary: PrimaryBytes }) {
    this.#stored = parts.stored
    this.#scope = parts.scope
    this.#name = parts.name
    this.#swarm = parts.swarm
    this.#primary = parts.primary
    this.#geometry = geometryOf(parts.stored.size)
  }

  /** Throws `unavailable` with a sentence for the reader. */
  async piece(index: number, signal: AbortSignal): Promise<Fetched> {
    const span = spanOf(this.#geometry, index)
    const { self } = this.#swarm
    const entitled = this.#swarm.entitled(this.#scope)
    const [home] = homesNearFirst(this.#stored.digest, self, entitled, (peer) => this.#swarm.near(peer))
    const rest = homes(this.#stored.digest, entitled)
      .filter((peer) => peer !== home)
      .slice(0, EVERYBODY)
    const attempts: Attempt<Fetched>[] = []
    if (home !== undefined) attempts.push((stop) => this.#fromHome(home, span, stop))
    if (this.#primary.reachable) attempts.push((stop) => this.#fromPrimary(span, stop))
    if (rest.length > 0)
      attempts.push((stop) => Promise.any(rest.map((peer) => this.#fromPeer(peer, span, false, stop))))
    try {
      return await staggered(attempts, { staggerMs: STAGGER_MS, signal })
    } catch (cause) {
      signal.throwIfAborted()
      throw nobodyHas(this.#stored, this.#name, this.#primary.reachable, cause)
    }
  }

  /** The whole range in order, a few pieces ahead of the reader; nothing is kept. */
  async *read(start: number, end: number, signal?: AbortSignal): AsyncGenerator<Fetched, void, undefined> {
    const stop = new AbortController()
    const abort = (): void => stop.abort(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    const { pieceBytes } = this.#geometry
    const ahead: Promise<Fetched>[] = []
    let next = Math.floor(start / pieceBytes)
    try {
      signal?.throwIfAborted()
      for (let at = start; at < end; ) {
        while (ahead.length < AHEAD && next * pieceBytes < end) ahead.push(this.#begun(next++, stop.signal))
        const fetched = await ahead.shift()
        if (!fetched) return
        const offset = Math.floor(at / pieceBytes) * pieceBytes
        const bytes = fetched.bytes.subarray(at - offset, Math.min(fetched.bytes.length, end - offset))
        yield { ...fetched, bytes }
        at += bytes.length
      }
    } finally {
      signal?.removeEventListener('abort', abort)
      stop.abort(new RegistryError('unavailable', 'The reader is gone'))
      await Promise.allSettled(ahead)
    }
  }

  /** A failure is thrown when its turn comes, not before. */
  #begun(index: number, signal: AbortSignal): Promise<Fetched> {
    const fetched = this.piece(index, deadline(DEADLINE_MS, signal))
    fetched.catch(() => undefined)
    return fetched
  }

  /** A home that is overtaken by a way that was begun later was silent for too long. */
  async #fromHome(home: string, span: Span, signal: AbortSignal): Promise<Fetched> {
    let overtaken = false
    const timer = setTimeout(() => {
      overtaken = true
    }, STAGGER_MS)
    try {
      return await this.#fromPeer(home, span, true, signal)
    } finally {
      clearTimeout(timer)
      if (overtaken && signal.aborted) this.#swarm.silent(home)
    }
  }

  async #fromPeer(peer: string, span: Span, fetch: boolean, signal: AbortSignal): Promise<Fetched> {
    const ask = { digest: this.#stored.digest, scope: this.#scope, first: span.first, count: span.count, fetch }
    const answer = await this.#answer(peer, ask, span, signal).catch((error: unknown) => {
      if (isRubbish(error)) this.#swarm.wrongPiece(peer)
      throw error
    })
    if (answer.first === span.first && verifyPiece(this.#stored, span.first, answer))
      return { bytes: answer.bytes, source: 'peer' }
    this.#swarm.wrongPiece(peer)
    throw new RegistryError('corrupt', 'A peer sent a piece of something else')
  }

  /** A blob of one piece in a bundle, where the peer knows those. */
  async #answer(peer: string, ask: PieceAsk, span: Span, signal: AbortSignal): Promise<PieceAnswer> {
    const bytes = span.end - span.start
    if (bytes < this.#stored.size) return this.#swarm.piece(peer, ask, bytes, signal)
    try {
      return { first: 0, proof: new Uint8Array(0), bytes: await this.#swarm.small(peer, ask, bytes, signal) }
    } catch (error) {
      if (!(error instanceof RegistryError && error.kind === 'unsupported')) throw error
      return this.#swarm.piece(peer, ask, bytes, signal)
    }
  }

  async #fromPrimary({ start, end, first, count }: Span, signal: AbortSignal): Promise<Fetched> {
    const whole = start === 0 && end === this.#stored.size
    const leaves = whole ? undefined : this.#allLeaves(signal)
    leaves?.catch(() => undefined)
    const bytes = await collected(this.#primary.read(this.#stored, this.#scope, start, end, signal), end - start)
    const own = leavesOf(bytes)
    const right = leaves
      ? Buffer.compare(own, (await leaves).subarray(first * HASH_BYTES, (first + count) * HASH_BYTES)) === 0
      : isRoot(rootOf(own), this.#stored.root)
    if (!right) throw new RegistryError('corrupt', `The primary sent other bytes than ${this.#stored.digest}`)
    return { bytes, source: 'primary' }
  }

  #allLeaves(signal: AbortSignal): Promise<Uint8Array> {
    this.#leaves ??= this.#askLeaves(signal).catch((error: unknown) => {
      this.#leaves = undefined
      throw error
    })
    return this.#leaves
  }

  async #askLeaves(signal: AbortSignal): Promise<Uint8Array> {
    const leaves = await this.#primary.leaves(this.#stored, this.#scope, signal)
    if (!isRoot(rootOf(leaves), this.#stored.root))
      throw new RegistryError('corrupt', 'The primary sent the leaf hashes of another blob')
    return leaves
  }
}

/** A blob that is not kept, as Bytes. */
export function passing(fetching: Fetching, size: number, source: Bytes['source']): Bytes {
  return {
    size,
    source,
    read: async function* (range = { start: 0, end: size }, signal) {
      for await (const { bytes } of fetching.read(range.start, range.end, signal)) yield bytes
    },
  }
}

/** Exactly `size` bytes in memory of their own; throws `upstream` for fewer or more. */
async function collected(body: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(size)
  let filled = 0
  for await (const chunk of body) {
    if (filled + chunk.length > size) throw new RegistryError('upstream', 'More bytes came than were asked for')
    bytes.set(chunk, filled)
    filled += chunk.length
  }
  if (filled < size) throw new RegistryError('upstream', 'Fewer bytes came than were asked for')
  return bytes
}
