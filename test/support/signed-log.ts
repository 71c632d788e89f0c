/** A primary's log without a primary: turns a memory ledger's changes into signed batches. */
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { signBeginning } from '../../protocol/log/beginning.js'
import { rawPublicKey, signCheckpoint } from '../../protocol/log/checkpoint.js'
import { encodeChange, type LogItem, leafOf } from '../../protocol/log/entry.js'
import { Frontier } from '../../protocol/merkle.js'
import type { MemoryLedger } from '../../protocol/metadata/memory.js'

export class SignedLog {
  readonly fleet = 'testfleet'
  readonly key: KeyObject = generateKeyPairSync('ed25519').privateKey
  readonly publicKey = rawPublicKey(createPublicKey(this.key))
  readonly items: LogItem[] = []
  #frontier = new Frontier()
  epoch = 1
  #ledger: MemoryLedger

  constructor(ledger: MemoryLedger) {
    this.#ledger = ledger
  }

  /** Everything committed since the last call, with a checkpoint over all. */
  batch(time = new Date().toISOString()): { items: LogItem[]; note: string } {
    const items = this.#ledger.log
      .slice(this.items.length)
      .map(({ number, change }): LogItem => ({ number, salt: randomBytes(16), body: encodeChange(change) }))
    for (const item of items) this.#frontier.append(leafOf(item))
    this.items.push(...items)
    return { items, note: this.sign(this.#frontier, time) }
  }

  /** Takes back what is beyond a length: what the ledger has from then on, an epoch that begins there. */
  begin(length: number, ledger: MemoryLedger, recovery: KeyObject, time = new Date().toISOString()): string {
    this.epoch++
    this.#ledger = ledger
    this.items.splice(length)
    this.#frontier = new Frontier()
    for (const item of this.items) this.#frontier.append(leafOf(item))
    const { fleet, epoch } = this
    const checkpoint = { fleet, epoch, number: length, root: this.#frontier.root(), time }
    return signBeginning(checkpoint, this.key, recovery)
  }

  sign(frontier: Frontier, time = new Date().toISOString(), key = this.key): string {
    return signCheckpoint(
      { fleet: this.fleet, epoch: this.epoch, number: frontier.size, root: frontier.root(), time },
      key,
    )
  }
}
