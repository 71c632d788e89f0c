/** A node that is asked for the log by whoever holds the recovery key. What it says is not believed here. */

import { z } from 'zod'
import { once } from '../../protocol/chunks.js'
import { deadline } from '../../protocol/deadline.js'
import { RegistryError } from '../../protocol/errors.js'
import type { LogItem } from '../../protocol/log/entry.js'
import type { RecoveryKey } from '../../protocol/recovery/key.js'
import { RESCUE, RESCUE_HEADER, RESCUE_LOG, signChallenge } from '../../protocol/recovery/request.js'
import { openSealed } from '../../protocol/recovery/sealed.js'
import { decodeFrames } from '../../protocol/wire/feed.js'

/** A part of the log, up to a checkpoint. */
export interface Page {
  items: LogItem[]
  note: string
  beginnings: string[]
}

const ANSWER_MS = 60_000
const MAX_PAGE_BYTES = 1024 * 1024 * 1024
const MAX_ANSWER_BYTES = 64 * 1024

const challengeShape = z.object({
  challenge: z.string().max(256),
  fleet: z.string().max(64),
  node: z.string().max(64),
  name: z.string().max(64),
  epoch: z.int().positive(),
  number: z.int().nonnegative(),
})

export class Source {
  readonly url: string
  readonly node: string
  readonly name: string
  readonly fleet: string
  readonly epoch: number
  readonly number: number
  readonly #header: string
  #beginnings: readonly string[] = []
  readonly #key: RecoveryKey

  private constructor(url: string, told: z.infer<typeof challengeShape>, key: RecoveryKey) {
    this.url = url
    this.node = told.node
    this.name = told.name
    this.fleet = told.fleet
    this.epoch = told.epoch
    this.number = told.number
    this.#key = key
    this.#header = `${told.challenge} ${signChallenge(told, key.signing)}`
  }

  /** Throws the node's own words, or `unavailable`. */
  static async at(url: string, key: RecoveryKey): Promise<Source> {
    const reply = await ask(`${url}${RESCUE}challenge`, { method: 'POST' }, MAX_ANSWER_BYTES)
    const told = challengeShape.safeParse(jsonIn(reply))
    if (told.success) return new Source(url, told.data, key)
    throw new RegistryError('upstream', `${url} does not answer as a node does`)
  }

  /** Finds out whether the key is the right one. */
  async greet(): Promise<void> {
    this.#beginnings = (await this.page(0))?.beginnings ?? []
  }

  /** Of epochs, as it knows them. */
  get beginnings(): readonly string[] {
    return this.#beginnings
  }

  /** undefined: it has nothing newer. Throws `corrupt` for what was not sealed to the key. */
  async page(after: number): Promise<Page | undefined> {
    const headers = { [RESCUE_HEADER]: this.#header }
    try {
      const sealed = await ask(`${this.url}${RESCUE}log?after=${after}`, { headers }, MAX_PAGE_BYTES)
      return await pageOf(openSealed(this.#key.sealing, RESCUE_LOG, sealed))
    } catch (error) {
      if (error instanceof RegistryError && error.kind === 'missing') return undefined
      throw error
    }
  }
}

async function pageOf(bytes: Uint8Array): Promise<Page> {
  const page: Page = { items: [], note: '', beginnings: [] }
  for await (const frame of decodeFrames(once(bytes))) {
    if (frame.type === 'item') page.items.push(frame.item)
    if (frame.type === 'beginning') page.beginnings.push(frame.note)
    if (frame.type === 'checkpoint') page.note = frame.note
  }
  return page
}

async function ask(url: string, request: RequestInit, limit: number): Promise<Buffer> {
  const reply = await fetch(url, { ...request, redirect: 'error', signal: deadline(ANSWER_MS) }).catch(
    (cause: unknown) => {
      throw new RegistryError('unavailable', `${new URL(url).origin} does not answer`, { cause })
    },
  )
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (reply.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > limit) throw new RegistryError('upstream', `${new URL(url).origin} sends more than expected`)
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  if (reply.ok) return body
  const kind = reply.status === 404 ? 'missing' : reply.status === 403 ? 'forbidden' : 'unavailable'
  throw new RegistryError(kind, sentenceIn(body) ?? `${new URL(url).origin} answered ${reply.status}`)
}

function sentenceIn(body: Buffer): string | undefined {
  const told = z.object({ detail: z.string() }).safeParse(jsonIn(body))
  return told.data?.detail.slice(0, 500)
}

function jsonIn(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}
