/**
 * What a node tells the primary every few seconds, and what it learns by it: addresses of its peers, its sync policies, and, in
 * time, a new certificate. While the primary is away it goes on with what it learned last.
 */

import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { TokenUses } from '../protocol/access/uses.js'
import { deadline } from '../protocol/deadline.js'
import type { Contradiction } from '../protocol/log/contradiction.js'
import { Periodic } from '../protocol/periodic.js'
import type { Position } from '../protocol/records.js'
import type { DownloadCounts } from './downloads.js'
import type { Link } from './link/link.js'

const replySchema = z.object({
  peers: z.array(z.object({ node: z.string(), peer: z.string(), addresses: z.array(z.string()) })),
  policies: z.array(
    z.object({
      repository: z.string(),
      mode: z.enum(['on_demand', 'scheduled', 'eager']),
      include: z.array(z.string()),
      exclude: z.array(z.string()),
      pin: z.boolean().optional(),
      window: z.string().optional(),
    }),
  ),
  repositories: z.array(z.string()),
  syncRequestedAt: z.string().optional(),
})
export type Learned = z.infer<typeof replySchema>
export type Policy = Learned['policies'][number]

export interface Status {
  position: Position
  addresses: string[]
  url: string
  cache: { used: number; limit: number }
  peers: number
  version: string
  contradiction?: Contradiction | undefined
}

export interface BeatOptions {
  dir: string
  link: Link
  status: () => Status
  downloads: DownloadCounts
  uses: TokenUses
  /** Called with what was remembered at the start, and with every answer. */
  learn: (learned: Learned) => void | Promise<void>
  onError: (error: unknown) => void
}

const EVERY_MS = 5_000
const SOON_MS = 1_000
const DEADLINE_MS = 10_000

export class Beat {
  readonly #options: BeatOptions
  readonly #periodic: Periodic
  #remembered = ''

  constructor(options: BeatOptions) {
    this.#options = options
    this.#periodic = new Periodic(() => this.now(), EVERY_MS, options.onError)
  }

  async start(): Promise<void> {
    const text = await readFile(this.#path, 'utf8').catch(() => undefined)
    const known = text === undefined ? undefined : replySchema.safeParse(JSON.parse(text))
    if (known?.success) await this.#options.learn(known.data)
    // At once, so that nodes that start together know each other before the primary has time to go away.
    await this.now().catch(this.#options.onError)
    // And soon after, when it has caught up with what it missed.
    this.#periodic.start(SOON_MS)
  }

  close(): Promise<void> {
    return this.#periodic.close()
  }

  async now(): Promise<void> {
    const learned = await this.#tell()
    await this.#options.learn(learned)
    await this.#remember(JSON.stringify(learned))
  }

  async #tell(): Promise<Learned> {
    const { link, status, downloads, uses } = this.#options
    const counts = downloads.take()
    const tokenUses = uses.take()
    try {
      const message = { ...status(), downloads: counts, tokenUses }
      return replySchema.parse(await link.json('POST', '/fleet/v1/heartbeat', message, deadline(DEADLINE_MS)))
    } catch (error) {
      downloads.restore(counts)
      uses.restore(tokenUses)
      throw error
    }
  }

  get #path(): string {
    return join(this.#options.dir, 'learned.json')
  }

  async #remember(text: string): Promise<void> {
    if (text === this.#remembered) return
    await writeFile(`${this.#path}.new`, text, { mode: 0o600 })
    await rename(`${this.#path}.new`, this.#path)
    this.#remembered = text
  }
}
