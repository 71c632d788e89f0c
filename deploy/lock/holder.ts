/** A primary or a node that is asked what it holds of a lock file, in pages that its limits allow. */
import { RegistryError } from '../../protocol/errors.js'
import type { FileState, Found, State } from '../../protocol/holding.js'
import type { Locked } from '../../protocol/lock.js'
import { bodyBytes, type Client, record } from '../client.js'

/** What every question says besides the versions. */
export interface About {
  repository: string
  platform: string | undefined
}

const MAX_VERSIONS = 500
const MAX_CHARACTERS = 700_000
const MAX_LINE = 16 * 1024 * 1024

export class Holder {
  readonly name: string
  readonly #client: Client
  readonly #about: About

  constructor(name: string, client: Client, about: About) {
    this.name = name
    this.#client = client
    this.#about = about
  }

  /** What it could serve with nobody to ask. */
  async ready(locked: readonly Locked[]): Promise<Found[]> {
    const all: Found[] = []
    for (const page of pagesOf(locked)) {
      const { items } = record(await this.#client.json('POST', this.#path('ready'), this.#body(page)))
      all.push(...(Array.isArray(items) ? items.map(foundIn) : []))
    }
    return all
  }

  /** Has it bring here what it does not hold; versions come as they are done. */
  async *prefetch(locked: readonly Locked[]): AsyncGenerator<Found, void, undefined> {
    for (const page of pagesOf(locked)) {
      const reply = await this.#client.raw('POST', this.#path('prefetch'), {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(this.#body(page)),
      })
      for await (const line of linesOf(reply)) if (line !== '') yield foundIn(JSON.parse(line))
    }
  }

  #path(verb: string): string {
    return `/api/v1/repositories/${encodeURIComponent(this.#about.repository)}/${verb}`
  }

  #body(items: Locked[]): unknown {
    const { platform } = this.#about
    return { items, ...(platform === undefined ? {} : { platform }) }
  }
}

function* pagesOf(locked: readonly Locked[]): Iterable<Locked[]> {
  let page: Locked[] = []
  let characters = 0
  for (const one of locked) {
    const { length } = JSON.stringify(one)
    if (page.length >= MAX_VERSIONS || (page.length > 0 && characters + length > MAX_CHARACTERS)) {
      yield page
      page = []
      characters = 0
    }
    page.push(one)
    characters += length
  }
  if (page.length > 0) yield page
}

async function* linesOf(reply: Response): AsyncIterable<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of bodyBytes(reply)) {
    const [...lines] = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > MAX_LINE) throw new RegistryError('upstream', 'The reply is larger than it can be')
    yield* lines
  }
  yield rest
}

function foundIn(value: unknown): Found {
  const { package: name, version, files, reason } = record(value)
  return {
    package: String(name),
    version: String(version),
    files: (Array.isArray(files) ? files : []).map(fileIn),
    ...(typeof reason === 'string' ? { reason } : {}),
  }
}

const STATES: readonly State[] = ['held', 'fetched', 'missing', 'differs']

function fileIn(value: unknown): FileState {
  const { name, state, size, reason } = record(value)
  return {
    name: String(name),
    state: STATES.find((each) => each === state) ?? 'missing',
    ...(typeof size === 'number' ? { size } : {}),
    ...(typeof reason === 'string' ? { reason } : {}),
  }
}
