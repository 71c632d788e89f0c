/**
 * Files by descriptor, with the few calls that blobs need: each is one hop to the thread pool. Every failure is a RegistryError
 * that names no path; the file system's own error is its cause.
 */
import {
  close,
  closeSync,
  constants,
  fdatasync,
  fstatSync,
  fsync,
  ftruncate,
  open,
  read,
  rename,
  type Stats,
  unlink,
  write,
} from 'node:fs'
import { promisify } from 'node:util'
import { RegistryError } from '../errors.js'

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants

/** Makes a descriptor's bytes, or a folder's names, durable. An argument of the store so that a test can make it fail. */
export type Sync = (descriptor: number, what: 'bytes' | 'names') => Promise<void>

/** An existing plain file; undefined when there is none. A link or device in its place is refused as `corrupt`. */
export async function openFile(path: string, access: 'read' | 'write'): Promise<number | undefined> {
  // O_NONBLOCK: opening a planted pipe must not wait for its other end. It does nothing to plain files.
  const flags = (access === 'read' ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK
  const descriptor = await openAsync(path, flags).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined
    if (['ELOOP', 'ENXIO', 'EISDIR'].includes(codeOf(error))) throw notPlain(error)
    throw diskError(error)
  })
  if (descriptor === undefined) return undefined
  if (fstatSync(descriptor).isFile()) return descriptor
  await closeFile(descriptor)
  throw notPlain(undefined)
}

/** A new file for reading and writing; undefined when the name is taken. */
export async function createFile(path: string): Promise<number | undefined> {
  return openAsync(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o640).catch((error: unknown) => {
    if (codeOf(error) === 'EEXIST') return undefined
    throw diskError(error)
  })
}

/** On an open descriptor this is answered from memory, so it does not wait. */
export function statOf(descriptor: number): Stats {
  return fstatSync(descriptor)
}

/** Fills `into` from `position`. Fewer bytes than asked for only at the end of the file. */
export async function readFully(descriptor: number, into: Uint8Array, position: number): Promise<number> {
  for (let done = 0; ; ) {
    const { bytesRead } = await readAsync(descriptor, into, done, into.length - done, position + done).catch(rethrow)
    done += bytesRead
    if (bytesRead === 0 || done === into.length) return done
  }
}

export async function writeFully(descriptor: number, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await writeAsync(descriptor, bytes, done, bytes.length - done, position + done).catch(
      rethrow,
    )
    done += bytesWritten
  }
}

export async function truncateFile(descriptor: number, size: number): Promise<void> {
  await truncateAsync(descriptor, size).catch(rethrow)
}

export async function closeFile(descriptor: number): Promise<void> {
  await closeAsync(descriptor).catch(rethrow)
}

/** For small files and for those that keep their name: nothing is freed or flushed, so it does not wait. */
export function closeNow(descriptor: number): void {
  try {
    closeSync(descriptor)
  } catch (error) {
    throw diskError(error)
  }
}

export async function renameFile(from: string, to: string): Promise<void> {
  await renameAsync(from, to).catch(rethrow)
}

/** A file that is not there is as good as removed. */
export async function removeFile(path: string): Promise<void> {
  await unlinkAsync(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw diskError(error)
  })
}

/** The system's own sync. */
export async function syncToDisk(descriptor: number, what: 'bytes' | 'names'): Promise<void> {
  await (what === 'bytes' ? fdatasyncAsync(descriptor) : fsyncAsync(descriptor)).catch(rethrow)
}

export function diskError(error: unknown): RegistryError {
  if (error instanceof RegistryError) return error
  const [message, code] = SENTENCES[codeOf(error)] ?? ['The disk that holds the blobs failed', 'disk_failed']
  return new RegistryError('unavailable', message, { code, cause: error, retryAfter: 60 })
}

const openAsync = promisify(open)
const readAsync = promisify(read)
const writeAsync = promisify(write)
const truncateAsync = promisify(ftruncate)
const closeAsync = promisify(close)
const renameAsync = promisify(rename)
const unlinkAsync = promisify(unlink)
const fdatasyncAsync = promisify(fdatasync)
const fsyncAsync = promisify(fsync)

const FULL: [string, string] = ['The disk that holds the blobs is full', 'disk_full']
const TOO_MANY: [string, string] = ['Too many files are open', 'too_many_files']
const SENTENCES: Record<string, [string, string]> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EROFS: ['The disk that holds the blobs is read-only', 'disk_read_only'],
  EMFILE: TOO_MANY,
  ENFILE: TOO_MANY,
}

function rethrow(error: unknown): never {
  throw diskError(error)
}

function notPlain(cause: unknown): RegistryError {
  return new RegistryError('corrupt', 'Something that is not a plain file lies in the place of a blob', { cause })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
