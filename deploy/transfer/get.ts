/**
 * Fetches a file into `<destination>.part`, verifies it against the digest that the registry states, and renames it: the
 * destination holds the right bytes or what was there before. A `.part` that an earlier attempt left is gone on with.
 */
import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { RegistryError } from '../../protocol/errors.js'
import { bodyBytes, type Client } from '../client.js'
import { isPassing, RETRY_MS } from './put.js'

export interface Fetched {
  size: number
  digest: string
  /** false: the registry stated no digest for it (a listing, an index). */
  verified: boolean
  resumedAt: number
  /** Where the registry had the bytes from. */
  source: string | undefined
}

export interface GetOptions {
  retryMs?: readonly number[]
  /** `total` is undefined while it is not known. */
  at?: (done: number, total: number | undefined) => void
}

const READ_BYTES = 1024 * 1024
/** The digest is that of the bytes as they are stored. */
const PLAIN = { 'accept-encoding': 'identity' }

export async function getFile(
  client: Client,
  urlPath: string,
  destination: string,
  options: GetOptions = {},
): Promise<Fetched> {
  const part = `${destination}.part`
  const file = await openPart(part)
  try {
    const fetching = new Fetching(client, urlPath, file, options)
    const fetched = await fetching.run()
    await file.sync()
    await rename(part, destination)
    return fetched
  } catch (error) {
    // What is known to be wrong is not gone on with; what is merely incomplete stays.
    if (error instanceof RegistryError && (error.kind === 'corrupt' || error.kind === 'missing'))
      await rm(part, { force: true })
    throw error
  } finally {
    await file.close()
  }
}

/** To wherever `write` leads, as it comes: a wrong digest is known only at the end. */
export async function getStream(
  client: Client,
  urlPath: string,
  write: (chunk: Uint8Array) => Promise<void>,
): Promise<Fetched> {
  const reply = await client.raw('GET', urlPath, { headers: PLAIN })
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of bodyBytes(reply)) {
    hash.update(chunk)
    size += chunk.length
    await write(chunk)
  }
  return fetchedOf(reply, hash.digest('hex'), size, 0)
}

class Fetching {
  readonly #client: Client
  readonly #urlPath: string
  readonly #file: FileHandle
  readonly #options: GetOptions
  #hash: Hash = createHash('sha256')
  #size = 0
  #resumedAt = 0

  constructor(client: Client, urlPath: string, file: FileHandle, options: GetOptions) {
    this.#client = client
    this.#urlPath = urlPath
    this.#file = file
    this.#options = options
  }

  async run(): Promise<Fetched> {
    await this.#readPresent()
    this.#resumedAt = this.#size
    try {
      return await this.#attempts()
    } catch (error) {
      // The part may be of other bytes than the registry has by now.
      if (!(error instanceof RegistryError && error.kind === 'corrupt') || this.#resumedAt === 0) throw error
      await this.#startOver()
      return await this.#attempts()
    }
  }

  async #attempts(): Promise<Fetched> {
    const retryMs = this.#options.retryMs ?? RETRY_MS
    for (let failures = 0; ; ) {
      const before = this.#size
      try {
        return await this.#attempt()
      } catch (error) {
        if (this.#size > before) failures = 0
        if (!isPassing(error) || failures >= retryMs.length) throw error
        await delay(retryMs[failures++])
      }
    }
  }

  async #attempt(): Promise<Fetched> {
    const headers = { ...PLAIN, ...(this.#size === 0 ? {} : { range: `bytes=${this.#size}-` }) }
    const reply = await this.#client.raw('GET', this.#urlPath, { headers, accept: [416] })
    if (reply.status === 416) return await this.#beyond(reply)
    if (reply.status !== 206 && this.#size > 0) await this.#startOver()
    const total = totalOf(reply, this.#size)
    for await (const chunk of bodyBytes(reply)) {
      await this.#append(chunk)
      this.#options.at?.(this.#size, total)
    }
    if (total !== undefined && this.#size !== total)
      throw new RegistryError('unavailable', 'The connection ended before the file did')
    return fetchedOf(reply, this.#hash.copy().digest('hex'), this.#size, this.#resumedAt)
  }

  /** All of it is here already, or more than there is. */
  async #beyond(reply: Response): Promise<Fetched> {
    await reply.body?.cancel()
    const total = /^bytes \*\/(\d+)$/.exec(reply.headers.get('content-range') ?? '')?.[1]
    if (Number(total) !== this.#size) {
      await this.#startOver()
      return await this.#attempt()
    }
    const head = await this.#client.raw('HEAD', this.#urlPath)
    return fetchedOf(head, this.#hash.copy().digest('hex'), this.#size, this.#resumedAt)
  }

  async #append(chunk: Uint8Array): Promise<void> {
    for (let done = 0; done < chunk.length; ) {
      const { bytesWritten } = await this.#file.write(chunk, done, chunk.length - done, this.#size + done)
      done += bytesWritten
    }
    this.#hash.update(chunk)
    this.#size += chunk.length
  }

  async #readPresent(): Promise<void> {
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    for (;;) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#size)
      if (bytesRead === 0) return
      this.#hash.update(buffer.subarray(0, bytesRead))
      this.#size += bytesRead
    }
  }

  async #startOver(): Promise<void> {
    await this.#file.truncate(0)
    this.#hash = createHash('sha256')
    this.#size = 0
    this.#resumedAt = 0
  }
}

/** Throws `corrupt` when the digest is not the stated one. */
function fetchedOf(reply: Response, digest: string, size: number, resumedAt: number): Fetched {
  const stated = reply.headers.get('x-checksum-sha256') ?? undefined
  if (stated !== undefined && stated !== digest)
    throw new RegistryError('corrupt', `The bytes have SHA-256 ${digest}, and the registry states ${stated}`)
  return {
    size,
    digest,
    verified: stated !== undefined,
    resumedAt,
    source: reply.headers.get('x-cairn-source') ?? undefined,
  }
}

function totalOf(reply: Response, have: number): number | undefined {
  const length = reply.headers.get('content-length')
  if (length === null || reply.headers.has('content-encoding')) return undefined
  return (reply.status === 206 ? have : 0) + Number(length)
}

async function openPart(path: string): Promise<FileHandle> {
  try {
    // Not 'a+': a positioned write would go to the end.
    return await open(path, 'r+').catch(() => open(path, 'w+'))
  } catch (cause) {
    throw new RegistryError(
      'invalid',
      `${path} cannot be written (${(cause as NodeJS.ErrnoException).code ?? 'unknown reason'})`,
      { cause },
    )
  }
}
