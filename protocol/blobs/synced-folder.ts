/**
 * A folder whose names can be made durable. Calls that arrive while a sync runs share the next one: it begins after all of
 * them, so it covers their renames.
 */
import { open } from 'node:fs'
import { promisify } from 'node:util'
import { closeFile, diskError, type Sync } from './descriptor.js'

export class SyncedFolder {
  readonly #path: string
  readonly #sync: Sync
  #descriptor: Promise<number> | undefined
  #running: Promise<void> | undefined
  #next: Promise<void> | undefined

  constructor(path: string, sync: Sync) {
    this.#path = path
    this.#sync = sync
  }

  /** Durable when it returns: every name that arrived or left before the call. */
  sync(): Promise<void> {
    if (!this.#running) return this.#run()
    this.#next ??= this.#running.then(ignore, ignore).then(() => {
      this.#next = undefined
      return this.#run()
    })
    return this.#next
  }

  async close(): Promise<void> {
    await (this.#next ?? this.#running)?.then(ignore, ignore)
    const descriptor = await this.#descriptor?.then(
      (opened) => opened,
      () => undefined,
    )
    this.#descriptor = undefined
    if (descriptor !== undefined) await closeFile(descriptor)
  }

  #run(): Promise<void> {
    const run = this.#open()
      .then((descriptor) => this.#sync(descriptor, 'names'))
      .finally(() => {
        if (this.#running === run) this.#running = undefined
      })
    this.#running = run
    return run
  }

  #open(): Promise<number> {
    this.#descriptor ??= promisify(open)(this.#path, 'r').catch((error: unknown) => {
      this.#descriptor = undefined
      throw diskError(error)
    })
    return this.#descriptor
  }
}

function ignore(): void {}
