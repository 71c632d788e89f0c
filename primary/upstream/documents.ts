/** What was last heard about an upstream's documents: validators for asking again, and where files lie. Never leaves the primary. */
import type pg from 'pg'

export interface UpstreamDocument {
  /** The upstream that it was fetched from. */
  upstream: string
  etag: string | undefined
  /** Last-Modified, as it was sent. */
  modified: string | undefined
  /** By path, only those that do not lie at their path below the upstream's address. */
  urls: Record<string, string>
}

export interface Documents {
  get(scope: string, name: string): Promise<UpstreamDocument | undefined>
  put(scope: string, name: string, document: UpstreamDocument): Promise<void>
  /** All of a repository that was removed. */
  forget(scope: string): Promise<void>
}

export class PostgresDocuments implements Documents {
  readonly #pool: Pick<pg.Pool, 'query'>

  constructor(pool: Pick<pg.Pool, 'query'>) {
    this.#pool = pool
  }

  async get(scope: string, name: string): Promise<UpstreamDocument | undefined> {
    type Row = { upstream: string; etag: string | null; modified: string | null; urls: string }
    const { rows } = await this.#pool.query<Row>({
      name: 'upstream_document_get',
      text: 'select upstream, etag, modified, urls from upstream_document where scope = $1 and name = $2',
      values: [scope, name],
    })
    const row = rows[0]
    if (!row) return undefined
    const urls = JSON.parse(row.urls) as Record<string, string>
    return { upstream: row.upstream, etag: row.etag ?? undefined, modified: row.modified ?? undefined, urls }
  }

  async put(scope: string, name: string, { upstream, etag, modified, urls }: UpstreamDocument): Promise<void> {
    await this.#pool.query({
      name: 'upstream_document_put',
      text: `insert into upstream_document (scope, name, upstream, etag, modified, urls) values ($1, $2, $3, $4, $5, $6)
             on conflict (scope, name) do update set upstream = $3, etag = $4, modified = $5, urls = $6`,
      values: [scope, name, upstream, etag ?? null, modified ?? null, JSON.stringify(urls)],
    })
  }

  async forget(scope: string): Promise<void> {
    await this.#pool.query('delete from upstream_document where scope = $1', [scope])
  }
}

export class MemoryDocuments implements Documents {
  readonly #documents = new Map<string, UpstreamDocument>()

  async get(scope: string, name: string): Promise<UpstreamDocument | undefined> {
    return this.#documents.get(`${scope}\0${name}`)
  }

  async put(scope: string, name: string, document: UpstreamDocument): Promise<void> {
    this.#documents.set(`${scope}\0${name}`, document)
  }

  async forget(scope: string): Promise<void> {
    for (const key of this.#documents.keys()) if (key.startsWith(`${scope}\0`)) this.#documents.delete(key)
  }
}
