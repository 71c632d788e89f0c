/** Asks every node that listens which blobs it has, for a report. Whoever has not answered by then is named as one that did not. */
import { randomUUID } from 'node:crypto'
import { RegistryError } from '../../protocol/errors.js'
import type { Digest, NodeRecord } from '../../protocol/records.js'
import type { HoldingsAsked } from '../../protocol/wire/holdings.js'

type Tell = (asked: HoldingsAsked) => void

/** What one node said. */
export interface Told {
  node: Pick<NodeRecord, 'id' | 'name'>
  site: string | undefined
  digests: ReadonlySet<Digest>
}

interface Question {
  /** By public key, since ephemeral nodes share a record. */
  told: Map<string, Told>
  expected: number
  complete: () => void
}

/** Reports that are made at a time. */
const AT_ONCE = 2

export class Holdings {
  readonly #nodes = new Set<Tell>()
  readonly #open = new Map<string, Question>()

  /** For as long as a node listens. Returns the way to stop. */
  listen(tell: Tell): () => void {
    this.#nodes.add(tell)
    return () => this.#nodes.delete(tell)
  }

  /** Those whose digest begins with so many zero bits. Throws `throttled`. */
  async ask(bits: number, deadlineMs: number): Promise<{ told: Told[]; silent: number }> {
    if (this.#open.size >= AT_ONCE)
      throw new RegistryError('throttled', 'Such reports are being made already', { retryAfter: 5 })
    const id = randomUUID()
    const expected = this.#nodes.size
    const told = new Map<string, Told>()
    let timer: NodeJS.Timeout | undefined
    try {
      await new Promise<void>((resolve) => {
        this.#open.set(id, { told, expected, complete: resolve })
        timer = setTimeout(resolve, expected === 0 ? 0 : deadlineMs)
        for (const tell of this.#nodes) tell({ id, bits })
      })
    } finally {
      clearTimeout(timer)
      this.#open.delete(id)
    }
    return { told: [...told.values()], silent: Math.max(0, expected - told.size) }
  }

  /** From a node. False: nobody waits for it. */
  answer(id: string, key: string, told: Told): boolean {
    const question = this.#open.get(id)
    if (!question) return false
    question.told.set(key, told)
    if (question.told.size >= question.expected) question.complete()
    return true
  }
}
