/**
 * What the primary's disk lost and nodes may still have. They are asked by their feeds, a few at first and then all, so that one
 * which cannot be dialled helps too; an answer is believed by its proof, whoever sent it.
 */
import { setTimeout } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { type Piece, verifyPiece } from '../../protocol/blobs/piece.js'
import { LEAF_BYTES } from '../../protocol/merkle.js'
import type { Digest, Stored } from '../../protocol/records.js'
import type { Wanted } from '../../protocol/wire/wanted.js'

/** Tells a node, if it may have what belongs to the scope. */
type Tell = (wanted: Wanted) => boolean

interface Question {
  stored: Stored
  answered: (bytes: Uint8Array | undefined) => void
}

/** How many nodes are asked before the next ones are. */
const ROUNDS = [3, 30, Number.POSITIVE_INFINITY]
const ROUND_MS = 300
/** What no node gave is not asked for again so soon: every reader would wait in vain. */
const GIVEN_UP_MS = 30_000
const GIVEN_UP = 10_000

export class Asking {
  readonly #nodes = new Set<Tell>()
  readonly #open = new Map<string, Set<Question>>()
  readonly #givenUp = new LRUCache<Digest, true>({ max: GIVEN_UP, ttl: GIVEN_UP_MS })

  /** For as long as a node listens. Returns the way to stop. */
  listen(tell: Tell): () => void {
    this.#nodes.add(tell)
    return () => this.#nodes.delete(tell)
  }

  /** How many nodes listen. */
  get nodes(): number {
    return this.#nodes.size
  }

  /** What no node gave is asked for again. */
  again(digest: Digest): void {
    this.#givenUp.delete(digest)
  }

  /** Bytes [start, end) of a blob, a piece of at most 16 leaves. undefined: no node gave them. */
  async ask(
    stored: Stored,
    scope: string,
    start: number,
    end: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    if (this.#givenUp.has(stored.digest)) return undefined
    const first = start / LEAF_BYTES
    const wanted = { scope, digest: stored.digest, first, count: Math.ceil(end / LEAF_BYTES) - first }
    const key = keyOf(wanted)
    const questions = this.#open.get(key) ?? new Set()
    const stop = new AbortController()
    const ended = AbortSignal.any([signal, stop.signal])
    const question: Question = { stored, answered: () => undefined }
    const answer = new Promise<Uint8Array | undefined>((resolve) => {
      question.answered = resolve
    })
    this.#open.set(key, questions.add(question))
    ended.addEventListener('abort', () => question.answered(undefined))
    void this.#tell(wanted, ended).then((told) => told || question.answered(undefined))
    try {
      const bytes = await answer
      if (!bytes) this.#givenUp.set(stored.digest, true)
      return bytes
    } finally {
      stop.abort()
      questions.delete(question)
      if (questions.size === 0) this.#open.delete(key)
    }
  }

  /** From a node. False: nobody asked for it, or it is wrong. */
  answer(wanted: Pick<Wanted, 'digest' | 'first'>, piece: Piece): boolean {
    const questions = [...(this.#open.get(keyOf(wanted)) ?? [])]
    const right = questions.filter(({ stored }) => verifyPiece(stored, wanted.first, piece) !== undefined)
    for (const { answered } of right) answered(piece.bytes)
    return right.length > 0
  }

  /** Was any node told. */
  async #tell(wanted: Wanted, signal: AbortSignal): Promise<boolean> {
    const nodes = [...this.#nodes].sort(() => Math.random() - 0.5)
    let told = 0
    for (const most of ROUNDS) {
      while (told < most && nodes.length > 0) if (nodes.pop()?.(wanted)) told++
      if (nodes.length === 0) break
      await setTimeout(ROUND_MS, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) break
    }
    return told > 0
  }
}

function keyOf({ digest, first }: Pick<Wanted, 'digest' | 'first'>): string {
  return `${digest} ${first}`
}
