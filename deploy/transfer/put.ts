/**
 * Sends a file. What is larger than a part goes in parts, each durable at the registry when it is answered, so that a broken
 * connection or a killed command costs one part: the same command goes on where the registry stands. The digest is known before
 * the first byte goes out and travels with it, so other bytes than these are never published; the reply must confirm it.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { RegistryError } from '../../protocol/errors.js'
import type { Client } from '../client.js'
import { readText } from '../client.js'

export interface Sent {
  size: number
  digest: string
  /** false: these bytes were there already. */
  created: boolean
  /** Bytes that an earlier attempt had brought. */
  resumedAt: number
}

export interface PutOptions {
  partBytes?: number
  /** Waits before attempts that follow a failure, in ms. */
  retryMs?: readonly number[]
  at?: (done: number) => void
}

const PART_BYTES = 16 * 1024 * 1024
export const RETRY_MS = [200, 1000, 3000, 8000] as const
const READ_BYTES = 1024 * 1024
const MAX_REPLY_BYTES = 1024 * 1024

export async function putFile(client: Client, urlPath: string, path: string, options: PutOptions = {}): Promise<Sent> {
  const file = await openFile(path)
  try {
    const { size } = await file.stat()
    const digest = await digestOf(file)
    return await new Sending(client, urlPath, file, size, digest, options).send()
  } finally {
    await file.close()
  }
}

/** A body whose length is not known: one request, no resuming. */
export async function putStream(
  client: Client,
  urlPath: string,
  body: AsyncIterable<Uint8Array>,
  at: (done: number) => void = () => undefined,
): Promise<Sent> {
  const hash = createHash('sha256')
  let size = 0
  async function* watched(): AsyncIterable<Uint8Array> {
    for await (const chunk of body) {
      hash.update(chunk)
      size += chunk.length
      at(size)
      yield chunk
    }
  }
  const reply = await client.raw('PUT', urlPath, { body: watched() })
  const digest = hash.digest('hex')
  await confirm(reply, digest)
  return { size, digest, created: reply.status === 201, resumedAt: 0 }
}

class Sending {
  readonly #client: Client
  readonly #urlPath: string
  readonly #file: FileHandle
  readonly #size: number
  readonly #digest: string
  readonly #partBytes: number
  readonly #retryMs: readonly number[]
  readonly #at: (done: number) => void

  constructor(client: Client, urlPath: string, file: FileHandle, size: number, digest: string, options: PutOptions) {
    this.#client = client
    this.#urlPath = urlPath
    this.#file = file
    this.#size = size
    this.#digest = digest
    this.#partBytes = options.partBytes ?? PART_BYTES
    this.#retryMs = options.retryMs ?? RETRY_MS
    this.#at = options.at ?? (() => undefined)
  }

  async send(): Promise<Sent> {
    const inParts = this.#size > this.#partBytes
    if (inParts && (await this.#isThere()))
      return { size: this.#size, digest: this.#digest, created: false, resumedAt: 0 }
    const resumedAt = inParts ? await this.#standing() : 0
    let offset = resumedAt
    let failures = 0
    for (;;) {
      try {
        const reply = inParts ? await this.#part(offset) : await this.#whole()
        if (reply.status === 200 || reply.status === 201) {
          await confirm(reply, this.#digest)
          return { size: this.#size, digest: this.#digest, created: reply.status === 201, resumedAt }
        }
        const next = await this.#next(reply, offset)
        if (next > offset) failures = 0
        else if (++failures > this.#retryMs.length)
          throw new RegistryError('upstream', 'The registry takes no more of this upload')
        offset = next
        this.#at(offset)
      } catch (error) {
        if (!isPassing(error) || failures >= this.#retryMs.length) throw error
        await delay(this.#retryMs[failures++])
        if (inParts) offset = await this.#standing().catch(() => offset)
      }
    }
  }

  /** Large files are asked about before they are sent. */
  async #isThere(): Promise<boolean> {
    const reply = await this.#client.raw('HEAD', this.#urlPath, { accept: [401, 403, 404, 405] })
    return reply.ok && reply.headers.get('x-checksum-sha256') === this.#digest
  }

  /** How far an earlier attempt got; everything is asked for with the digest, so it is an attempt for the same bytes. */
  async #standing(): Promise<number> {
    const reply = await this.#client.raw('PUT', this.#urlPath, {
      headers: this.#headers(`bytes */${this.#size}`),
      body: '',
      accept: [416],
    })
    await drain(reply)
    return Math.min(offsetOf(reply) ?? 0, this.#size)
  }

  async #whole(): Promise<Response> {
    return await this.#client.raw('PUT', this.#urlPath, {
      headers: { 'x-checksum-sha256': this.#digest },
      body: await this.#read(0, this.#size),
    })
  }

  async #part(offset: number): Promise<Response> {
    const end = Math.min(offset + this.#partBytes, this.#size)
    const headers = this.#headers(`bytes ${offset}-${end - 1}/${this.#size}`)
    return await this.#client.raw('PUT', this.#urlPath, { headers, body: await this.#read(offset, end), accept: [416] })
  }

  async #next(reply: Response, offset: number): Promise<number> {
    await drain(reply)
    const next = offsetOf(reply)
    if (next === undefined || next > this.#size)
      throw new RegistryError('upstream', 'The registry does not say how much of the upload it has')
    return next === this.#size ? offset : next
  }

  #headers(range: string): Record<string, string> {
    return { 'content-range': range, 'x-checksum-sha256': this.#digest }
  }

  async #read(start: number, end: number): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafe(end - start)
    let done = 0
    while (done < bytes.length) {
      const { bytesRead } = await this.#file.read(bytes, done, bytes.length - done, start + done)
      if (bytesRead === 0) throw new RegistryError('conflict', 'The file became shorter while it was being sent')
      done += bytesRead
    }
    return bytes
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    const file = await open(path, 'r')
    if ((await file.stat()).isFile()) return file
    await file.close()
  } catch (cause) {
    throw new RegistryError(
      'missing',
      `${path} cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown reason'})`,
      { cause },
    )
  }
  throw new RegistryError('invalid', `${path} is not a file`, { code: 'usage' })
}

export async function digestOf(file: FileHandle): Promise<string> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  for (let position = 0; ; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position)
    if (bytesRead === 0) return hash.digest('hex')
    hash.update(buffer.subarray(0, bytesRead))
    position += bytesRead
  }
}

async function confirm(reply: Response, digest: string): Promise<void> {
  await drain(reply)
  const confirmed = reply.headers.get('x-checksum-sha256')
  if (confirmed === digest) return
  const what = confirmed === null ? 'did not confirm the digest' : `stored ${confirmed}`
  throw new RegistryError('corrupt', `The registry ${what}; the file's SHA-256 is ${digest}`)
}

/** Lets the connection be used again. */
async function drain(reply: Response): Promise<void> {
  await readText(reply, MAX_REPLY_BYTES)
}

function offsetOf(reply: Response): number | undefined {
  const text = reply.headers.get('upload-offset') ?? ''
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** Worth another attempt: the connection, or a registry that says "later". */
export function isPassing(error: unknown): boolean {
  return error instanceof RegistryError && (error.kind === 'unavailable' || error.kind === 'throttled')
}
