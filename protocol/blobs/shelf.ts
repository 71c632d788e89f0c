/**
 * The names of blobs on disk: how bytes get one, keep it through a crash, and lose it. A name appears only after its bytes are
 * synced, and `place` returns only after the name is. After a sync that failed nothing more is accepted until a restart: the
 * system may have dropped the bytes it could not write, and a second sync would then succeed without them.
 */
import { futimesSync, lstatSync, renameSync } from 'node:fs'
import { lstat, mkdir, readdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { RegistryError } from '../errors.js'
import { failpoint } from '../failpoint.js'
import type { Digest } from '../records.js'
import {
  closeFile,
  diskError,
  openFile,
  readFully,
  removeFile,
  type Sync,
  statOf,
  syncToDisk,
  writeFully,
} from './descriptor.js'
import { isDigest, isFan, Layout, TREE_ABOVE_BYTES } from './layout.js'
import { SyncedFolder } from './synced-folder.js'
import { Temporary } from './temporary.js'

export interface ShelfEntry {
  digest: Digest
  /** Bytes. */
  size: number
  /** When it was written, or written again: milliseconds since 1970. */
  writtenAtMs: number
}

export class Shelf {
  readonly layout: Layout
  readonly #root: string
  readonly #sync: Sync
  readonly #folders = new Map<string, SyncedFolder>()
  /** Folders below blobs/ that are durable. */
  readonly #fans = new Set<string>()
  #failure: RegistryError | undefined

  constructor(root: string, sync: Sync = syncToDisk) {
    this.#root = root
    this.#sync = sync
    this.layout = new Layout(root)
  }

  /** Makes the folders and removes what a crash left in incoming/. */
  async start(): Promise<void> {
    const { blobs, incoming, uploads } = this.layout
    try {
      let made = false
      for (const folder of [blobs, incoming, uploads])
        made = (await mkdir(folder, { recursive: true, mode: 0o750 })) !== undefined || made
      // Always: a process that was killed may have made folders and not synced them.
      for (const folder of made ? [blobs, this.#root, dirname(this.#root)] : [blobs, this.#root])
        await this.#syncOnce(folder)
      for (const name of await readdir(blobs)) if (isFan(name)) this.#fans.add(`${blobs}/${name}`)
      for (const name of await readdir(incoming)) await removeFile(`${incoming}/${name}`)
    } catch (error) {
      throw diskError(error)
    }
  }

  async close(): Promise<void> {
    for (const folder of this.#folders.values()) await folder.close()
    this.#folders.clear()
  }

  /** A new file for bytes that have no name yet. */
  async create(): Promise<Temporary> {
    this.#refuseAfterFailure()
    return Temporary.create(this.layout.temporary())
  }

  async syncBytes(descriptor: number): Promise<void> {
    await this.#guarded(descriptor, 'bytes')
  }

  /**
   * Gives written bytes their name, where they replace what bore it. The descriptor stays open, and discarding them after an
   * error is the caller's.
   */
  async place(bytes: Temporary, digest: Digest, leaves: Uint8Array): Promise<void> {
    const withTree = statOf(bytes.descriptor).size > TREE_ABOVE_BYTES
    const writing = withTree ? this.#writeTree(leaves, true) : Promise.resolve(undefined)
    const [synced, written] = await Promise.allSettled([this.syncBytes(bytes.descriptor), writing])
    const tree = written.status === 'fulfilled' ? written.value : undefined
    try {
      if (synced.status === 'rejected') throw synced.reason
      if (written.status === 'rejected') throw written.reason
      await this.#ensureFan(this.layout.fan(digest))
      failpoint('bytes-synced')
      await bytes.rename(this.layout.blob(digest))
      failpoint('blob-renamed')
      await tree?.rename(this.layout.tree(digest))
    } catch (error) {
      await tree?.discard()
      throw error
    }
    await this.folder(this.layout.fan(digest)).sync()
    failpoint('names-synced')
  }

  /** A disk that fails throws: it is no absence. */
  async has(digest: Digest): Promise<boolean> {
    const there = await lstat(this.layout.blob(digest)).catch(absent)
    return there?.isFile() ?? false
  }

  /**
   * Are exactly these bytes there already. Then they count as written again, and are durable when it returns. They are compared
   * and not only measured: acknowledging a damaged blob would lose the good copy that just arrived.
   */
  async holds(digest: Digest, bytes: Uint8Array): Promise<boolean> {
    const path = this.layout.blob(digest)
    const there = lstatSync(path, { throwIfNoEntry: false })
    if (!there?.isFile() || there.size !== bytes.length) return false
    const descriptor = await openFile(path, 'write')
    if (descriptor === undefined) return false
    try {
      const held = new Uint8Array(bytes.length)
      await readFully(descriptor, held, 0)
      // In one turn of the event loop, so that `remove` comes wholly before or wholly after.
      if (Buffer.compare(held, bytes) !== 0 || !this.#isAt(path, descriptor)) return false
      futimesSync(descriptor, Date.now() / 1000, Date.now() / 1000)
    } finally {
      await closeFile(descriptor)
    }
    await this.folder(this.layout.fan(digest)).sync()
    return true
  }

  /** Puts a list of leaf hashes beside a blob that lost its own. Not synced: it can always be made again. */
  async placeTree(digest: Digest, leaves: Uint8Array): Promise<void> {
    const tree = await this.#writeTree(leaves, false)
    try {
      await tree.rename(this.layout.tree(digest))
    } catch (error) {
      await tree.discard()
      throw error
    }
  }

  /** False when there is none, or when it was written at or after `writtenBeforeMs`. */
  async remove(digest: Digest, writtenBeforeMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    const names = [this.layout.blob(digest), this.layout.tree(digest)]
    const there = lstatSync(this.layout.blob(digest), { throwIfNoEntry: false })
    if (!there || there.mtimeMs >= writtenBeforeMs) return false
    // The names go at once, in this turn of the event loop; freeing many gigabytes takes the disk a while.
    const removed = names.filter((name) => lstatSync(name, { throwIfNoEntry: false }))
    const rubbish = removed.map((name) => {
      const path = this.layout.temporary()
      renameSync(name, path)
      return path
    })
    for (const path of rubbish) await removeFile(path)
    return true
  }

  /** In no order; what comes and goes meanwhile may be missed. */
  async *list(): AsyncGenerator<ShelfEntry, void, undefined> {
    for await (const { name, size, mtimeMs } of this.#files())
      if (isDigest(name)) yield { digest: name, size, writtenAtMs: mtimeMs }
  }

  /** Bytes of all blobs and their trees, counted now: it reads every folder. */
  async used(): Promise<number> {
    let used = 0
    for await (const { size } of this.#files()) used += size
    return used
  }

  /** Its names can be made durable. */
  folder(path: string): SyncedFolder {
    const folder = this.#folders.get(path) ?? new SyncedFolder(path, (fd, what) => this.#guarded(fd, what))
    this.#folders.set(path, folder)
    return folder
  }

  async #ensureFan(fan: string): Promise<void> {
    if (this.#fans.has(fan)) return
    await mkdir(fan, { mode: 0o750, recursive: true }).catch((error: unknown) => {
      throw diskError(error)
    })
    await this.folder(this.layout.blobs).sync()
    this.#fans.add(fan)
  }

  async #writeTree(leaves: Uint8Array, durable: boolean): Promise<Temporary> {
    const tree = await this.create()
    try {
      await writeFully(tree.descriptor, leaves, 0)
      if (durable) await this.syncBytes(tree.descriptor)
      tree.close()
      return tree
    } catch (error) {
      await tree.discard()
      throw error
    }
  }

  async *#files(): AsyncGenerator<{ name: string; size: number; mtimeMs: number }, void, undefined> {
    for (const fan of this.#fans) {
      const names = (await readdir(fan).catch(absent)) ?? []
      for (let at = 0; at < names.length; at += STAT_AT_ONCE) {
        const some = names.slice(at, at + STAT_AT_ONCE)
        const stats = await Promise.all(some.map((name) => lstat(`${fan}/${name}`).catch(absent)))
        for (const [index, name] of some.entries()) {
          const stat = stats[index]
          if (stat?.isFile()) yield { name, size: stat.size, mtimeMs: stat.mtimeMs }
        }
      }
    }
  }

  #isAt(path: string, descriptor: number): boolean {
    return lstatSync(path, { throwIfNoEntry: false })?.ino === statOf(descriptor).ino
  }

  async #syncOnce(path: string): Promise<void> {
    const folder = new SyncedFolder(path, this.#sync)
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }

  async #guarded(descriptor: number, what: 'bytes' | 'names'): Promise<void> {
    this.#refuseAfterFailure()
    try {
      await this.#sync(descriptor, what)
    } catch (error) {
      const failure = diskError(error)
      // Bytes that found no room are thrown away with their file; everything else leaves doubt.
      if (what === 'names' || failure.code !== 'disk_full') this.#failure ??= failure
      throw failure
    }
  }

  #refuseAfterFailure(): void {
    if (!this.#failure) return
    throw new RegistryError(
      'unavailable',
      'A write to disk failed; nothing more is accepted until the process restarts',
      {
        code: 'disk_failed',
        cause: this.#failure,
      },
    )
  }
}

const STAT_AT_ONCE = 64

function absent(error: unknown): undefined {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw diskError(error)
}
