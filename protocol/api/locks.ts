/**
 * Lock files: what of one this machine could serve with nobody to ask, and bringing here what it could not. Whoever asks has read
 * the file: what comes here is a page of what it names. On the primary this is about the primary, on a node about the node.
 */
import { z } from 'zod'
import { RegistryError } from '../errors.js'
import type { Format } from '../format.js'
import { bring, type Found, type Holding, look } from '../holding.js'
import type { HttpRequest } from '../http/request.js'
import { type Locked, parsePlatform } from '../lock.js'
import type { Blobs, Principal } from '../ports.js'
import type { RepositoryRecord } from '../records.js'
import type { Repository } from '../repository.js'
import { type Endpoint, endpoint } from './endpoint.js'

export interface LocksOptions {
  formats: readonly Format[]
  open: (record: RepositoryRecord, principal: Principal) => Repository
  blobs: Pick<Blobs, 'has' | 'settled'>
}

/** Versions in one request; a body holds 1 MiB. */
const MAX_LOCKED = 1000
const MAX_FILES = 2000
/** Versions that are read at the same time for one request. */
const AT_ONCE = 8
const SILENCE_MS = 20_000

const text = z.string().min(1).max(1024)
const body = z.strictObject({
  platform: z
    .string()
    .regex(/^[a-z0-9]+\/[a-z0-9]+$/, 'must be like linux/amd64')
    .optional(),
  items: z
    .array(
      z.strictObject({
        package: text,
        version: text,
        files: z.array(z.strictObject({ name: text.optional(), sums: z.array(text).max(16) })).max(MAX_FILES),
      }),
    )
    .max(MAX_LOCKED),
})
type Body = z.output<typeof body>

const foundShape = z
  .object({
    package: z.string(),
    version: z.string(),
    files: z.array(
      z.object({
        name: z.string(),
        state: z.enum(['held', 'fetched', 'missing', 'differs']),
        size: z.number().optional(),
        reason: z.string().optional(),
      }),
    ),
    reason: z.string().optional().meta({ description: 'Why nothing is known of the version' }),
  })
  .meta({ id: 'LockedState' })

export function lockEndpoints(options: LocksOptions): Endpoint[] {
  return [
    endpoint({
      name: 'locks.ready',
      method: 'POST',
      path: '/api/v1/repositories/{key}/ready',
      summary: 'What of a lock file this machine could serve with nobody to ask',
      access: { repository: 'read' },
      asks: true,
      body,
      reply: z.object({ items: z.array(foundShape) }),
      handle: async (ask) => {
        const holding = holdingOf(options, ask)
        const held = { ...holding, repository: holding.repository.held() }
        const items: Found[] = []
        for await (const found of run(held, ask.body.items, look)) items.push(found)
        return { items }
      },
    }),
    endpoint({
      name: 'locks.prefetch',
      method: 'POST',
      path: '/api/v1/repositories/{key}/prefetch',
      summary: 'Brings what a lock file names to this machine; a line of JSON for each version, as it is done',
      access: { repository: 'read' },
      asks: true,
      body,
      reply: 'raw',
      handle: async (ask) => ({
        status: 200,
        headers: { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store' },
        body: lines(run(holdingOf(options, ask), ask.body.items, bring)),
      }),
    }),
  ]
}

interface Ask {
  repository: RepositoryRecord
  principal: Principal
  body: Body
  request: HttpRequest
}

function holdingOf({ formats, open, blobs }: LocksOptions, { repository, principal, body, request }: Ask): Holding {
  const lock = formats.find(({ name }) => name === repository.format)?.lock
  if (!lock)
    throw new RegistryError('invalid', `There are no lock files of the format ${repository.format}`, {
      code: 'no_lock_files',
    })
  const platform = body.platform === undefined ? undefined : parsePlatform(body.platform)
  return { repository: open(repository, principal), lock, platform, blobs, signal: request.signal }
}

/** As they are done. Nothing new is begun once the client is gone. */
async function* run(
  holding: Holding,
  locked: readonly Locked[],
  of: (holding: Holding, locked: Locked) => Promise<Found>,
): AsyncGenerator<Found, void, undefined> {
  const running = new Set<Promise<void>>()
  const done: (() => Found)[] = []
  for (const one of locked) {
    holding.signal.throwIfAborted()
    const task = of(holding, one)
      .then(
        (found) => () => found,
        (error: unknown) => () => {
          throw error
        },
      )
      .then((settled) => {
        running.delete(task)
        done.push(settled)
      })
    running.add(task)
    if (running.size >= AT_ONCE) await Promise.race(running)
    for (const settled of done.splice(0)) yield settled()
  }
  while (running.size > 0 || done.length > 0) {
    for (const settled of done.splice(0)) yield settled()
    if (running.size > 0) await Promise.race(running)
  }
}

/** With an empty one now and then, so that nobody takes the long silence of a large file for a broken connection. */
async function* lines(found: AsyncGenerator<Found, void, undefined>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for (let next = found.next(); ; ) {
      const result = await orSilence(next)
      if (result?.done) return
      yield Buffer.from(result ? `${JSON.stringify(result.value)}\n` : '\n')
      if (result) next = found.next()
    }
  } finally {
    await found.return()
  }
}

/** undefined: it takes longer. */
function orSilence<T>(promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), SILENCE_MS)
  })
  return Promise.race([promise, silence]).finally(() => clearTimeout(timer))
}
