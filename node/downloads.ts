/** Counts what clients get from this node until the primary has been told. Statistics: a crash may lose the last few. */
export class DownloadCounts {
  readonly #counts = new Map<string, { scope: string; path: string; count: number }>()

  count(scope: string, path: string): void {
    const key = `${scope}\0${path}`
    const known = this.#counts.get(key)
    if (known) known.count++
    else if (this.#counts.size < MAX_PATHS) this.#counts.set(key, { scope, path, count: 1 })
  }

  /** At most as many as one message holds; they are forgotten here. */
  take(): { scope: string; path: string; count: number }[] {
    const taken = [...this.#counts.entries()].slice(0, MAX_MESSAGE)
    for (const [key] of taken) this.#counts.delete(key)
    return taken.map(([, value]) => value)
  }

  /** Puts back what could not be told. */
  restore(counts: { scope: string; path: string; count: number }[]): void {
    for (const { scope, path, count } of counts) {
      const known = this.#counts.get(`${scope}\0${path}`)
      if (known) known.count += count
      else this.#counts.set(`${scope}\0${path}`, { scope, path, count })
    }
  }
}

const MAX_PATHS = 100_000
const MAX_MESSAGE = 1000
