/**
 * A client that writes down what it did and what it was told, and later compares that with what a registry shows: everything
 * acknowledged is there byte for byte, nothing is half-visible. A request without an answer is unknown: it may have happened.
 */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { packed, publishDocument } from './npm-package.js'

export type Outcome = 'acknowledged' | 'unknown' | number

export interface Attempt {
  kind: 'npm' | 'generic'
  /** Of the package, or the file's path. */
  name: string
  /** '' for files. */
  version: string
  /** SHA-256 of the file, or of the package's tarball. */
  digest: string
  outcome: Outcome
}

/** Repositories of these keys, public and local, one of each format. */
export const BOOK_REPOSITORIES = { npm: 'book-npm', generic: 'book-files' } as const

interface Packument {
  versions: Record<string, { dist: { tarball: string; integrity: string } }>
  'dist-tags': Record<string, string>
}

const ANSWER_MS = 30_000

export class Book {
  readonly attempts: Attempt[] = []
  readonly #authorization: string

  constructor(authorization: string) {
    this.#authorization = authorization
  }

  static async open(
    api: (method: string, path: string, body?: unknown) => Promise<unknown>,
    authorization: string,
  ): Promise<Book> {
    for (const [format, key] of Object.entries(BOOK_REPOSITORIES))
      await api('POST', '/api/v1/repositories', { key, name: key, format, repo_type: 'local', is_public: true })
    return new Book(authorization)
  }

  /** `ballast`: bytes of random content in the tarball, so that no two have the same digest. */
  async publish(url: string, name: string, version: string, ballast = 64, tag = 'latest'): Promise<Attempt> {
    const manifest = { name, version }
    const tarball = packed(manifest, [{ name: 'package/ballast', content: randomBytes(ballast) }])
    return this.#attempt(
      { kind: 'npm', name, version, digest: sha256(tarball) },
      `${url}/repository/${BOOK_REPOSITORIES.npm}/${name}`,
      {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(publishDocument(manifest, { tarball, tag })),
      },
    )
  }

  async put(url: string, path: string, bytes: Uint8Array): Promise<Attempt> {
    return this.#attempt(
      { kind: 'generic', name: path, version: '', digest: sha256(bytes) },
      `${url}/repository/${BOOK_REPOSITORIES.generic}/${path}`,
      { body: bytes },
    )
  }

  acknowledged(): Attempt[] {
    return this.attempts.filter(({ outcome }) => outcome === 'acknowledged')
  }

  /** Fails with what is wrong at that URL. */
  async check(url: string): Promise<void> {
    await this.#checkFiles(url)
    for (const name of new Set(this.attempts.filter(({ kind }) => kind === 'npm').map(({ name }) => name)))
      await this.#checkPackage(url, name)
  }

  async #attempt(
    what: Omit<Attempt, 'outcome'>,
    url: string,
    init: { headers?: Record<string, string>; body: string | Uint8Array },
  ): Promise<Attempt> {
    const attempt: Attempt = { ...what, outcome: 'unknown' }
    this.attempts.push(attempt)
    try {
      const reply = await fetch(url, {
        method: 'PUT',
        signal: AbortSignal.timeout(ANSWER_MS),
        ...init,
        headers: { authorization: this.#authorization, ...init.headers },
      } as RequestInit)
      await reply.arrayBuffer()
      attempt.outcome = reply.ok ? 'acknowledged' : reply.status
    } catch {
      // No answer: unknown, as it was.
    }
    return attempt
  }

  async #checkFiles(url: string): Promise<void> {
    for (const [path, attempts] of grouped(this.attempts.filter(({ kind }) => kind === 'generic'))) {
      const reply = await fetch(`${url}/repository/${BOOK_REPOSITORIES.generic}/${path}`)
      const body = Buffer.from(await reply.arrayBuffer())
      this.#checkBytes(
        `${url} ${path}`,
        attempts,
        reply.status === 404 ? undefined : { status: reply.status, digest: sha256(body) },
      )
    }
  }

  async #checkPackage(url: string, name: string): Promise<void> {
    const reply = await fetch(`${url}/repository/${BOOK_REPOSITORIES.npm}/${name}`)
    assert.ok(reply.status === 200 || reply.status === 404, `${url} ${name}: ${reply.status}`)
    const document = (await reply.json()) as Packument
    const { versions, 'dist-tags': tags } = reply.status === 200 ? document : { versions: {}, 'dist-tags': {} }
    for (const [tag, version] of Object.entries(tags))
      assert.ok(version in versions, `${url} ${name}: ${tag} names ${version}, which is not listed`)
    const own = this.attempts.filter((attempt) => attempt.kind === 'npm' && attempt.name === name)
    for (const [, attempts] of grouped(own)) {
      const { version = '' } = attempts[0] ?? {}
      const { dist } = versions[version] ?? {}
      if (dist === undefined) {
        this.#checkBytes(`${url} ${name}@${version}`, attempts, undefined)
        const hidden = await fetch(`${url}/repository/${BOOK_REPOSITORIES.npm}/${name}/-/${name}-${version}.tgz`)
        await hidden.arrayBuffer()
        assert.equal(hidden.status, 404, `${url} ${name}@${version} is not listed and its tarball is there`)
        continue
      }
      const tarball = await fetch(dist.tarball)
      const body = Buffer.from(await tarball.arrayBuffer())
      assert.equal(
        dist.integrity,
        `sha512-${createHash('sha512').update(body).digest('base64')}`,
        `${url} ${name}@${version}`,
      )
      this.#checkBytes(`${url} ${name}@${version}`, attempts, { status: tarball.status, digest: sha256(body) })
    }
  }

  /** What is there is something that was sent; what was acknowledged is there. */
  #checkBytes(where: string, attempts: Attempt[], seen: { status: number; digest: string } | undefined): void {
    const acknowledged = attempts.find(({ outcome }) => outcome === 'acknowledged')
    if (seen === undefined) {
      assert.equal(acknowledged, undefined, `${where} was acknowledged and is gone`)
      return
    }
    assert.equal(seen.status, 200, where)
    const possible = acknowledged ? [acknowledged] : attempts.filter(mayHaveHappened)
    assert.ok(
      possible.some(({ digest }) => digest === seen.digest),
      `${where} has bytes that nobody who could have won has sent`,
    )
  }
}

/** A 503 says that the registry itself does not know, for instance because its database went away while it committed. */
function mayHaveHappened({ outcome }: Attempt): boolean {
  return outcome === 'unknown' || (typeof outcome === 'number' && outcome >= 500)
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Attempts at one path or version together. */
function grouped(attempts: Attempt[]): Map<string, Attempt[]> {
  const groups = new Map<string, Attempt[]>()
  for (const attempt of attempts) {
    const key = attempt.kind === 'npm' ? `${attempt.name}@${attempt.version}` : attempt.name
    groups.set(key, [...(groups.get(key) ?? []), attempt])
  }
  return groups
}
