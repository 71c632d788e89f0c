/** Rows as they will be once what waits here has returned: what it writes lies over the replica's own. */
import {
  inOrder,
  isWithin,
  keyText,
  type RowKey,
  type Rows,
  type RowWrite,
  type Scan,
  type Table,
  type Tables,
} from '../../protocol/metadata/rows.js'

export class Overlay implements Rows {
  readonly #base: () => Rows
  readonly #writes: () => ReadonlyMap<string, RowWrite>

  constructor(base: () => Rows, writes: () => ReadonlyMap<string, RowWrite>) {
    this.#base = base
    this.#writes = writes
  }

  async get<T extends Table>(key: RowKey<T>): Promise<Tables[T] | undefined> {
    const writes = this.#writes()
    const own = writes.size > 0 ? writes.get(keyText(key)) : undefined
    return own ? (own.value as Tables[T] | undefined) : this.#base().get(key)
  }

  async *scan<T extends Table>(
    table: T,
    scope: string,
    scan: Scan,
  ): AsyncIterable<{ key: RowKey<T>; value: Tables[T] }> {
    const own = [...this.#writes().values()]
      .filter(({ key }) => key.table === table && key.scope === scope && isWithin(key, scan))
      .sort((a, b) => inOrder(a.key, b.key))
    const before = function* (key?: RowKey) {
      for (let next = own[0]; next && (!key || inOrder(next.key, key) <= 0); next = own[0]) {
        own.shift()
        if (next.value) yield { key: next.key as RowKey<T>, value: next.value as Tables[T] }
      }
    }
    for await (const row of this.#base().scan(table, scope, scan)) {
      const isOwn = own.some(({ key }) => inOrder(key, row.key) === 0)
      yield* before(row.key)
      if (!isOwn) yield row
    }
    yield* before()
  }
}
