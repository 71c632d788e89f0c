/** A file in incoming/: bytes that have no name yet. It ends by being placed under one, or discarded. */
import { RegistryError } from '../errors.js'
import { closeNow, createFile, removeFile, renameFile } from './descriptor.js'

export class Temporary {
  readonly path: string
  readonly descriptor: number
  #open = true

  /** Takes a descriptor over. */
  constructor(path: string, descriptor: number) {
    this.path = path
    this.descriptor = descriptor
  }

  static async create(path: string): Promise<Temporary> {
    const descriptor = await createFile(path)
    if (descriptor === undefined) throw new RegistryError('conflict', 'A temporary name was taken')
    return new Temporary(path, descriptor)
  }

  /** Once is enough: by a second time the number may be another file's. */
  close(): void {
    if (!this.#open) return
    this.#open = false
    closeNow(this.descriptor)
  }

  /** Moves the file to its name; the descriptor stays as it is. */
  async rename(to: string): Promise<void> {
    await renameFile(this.path, to)
  }

  /** The way out of an error, so it reports none itself. What it cannot remove, the next start does. */
  async discard(): Promise<void> {
    try {
      this.close()
    } catch {
      // The number is free again even then.
    }
    await removeFile(this.path).catch(() => undefined)
  }
}
