/** When and from where tokens were last used, in memory until it is written down or told. A crash may lose the last few. */
export interface TokenUse {
  id: string
  /** ISO 8601. */
  at: string
  /** The client's address. */
  remote: string
}

const MAX_TOKENS = 50_000
const MAX_TAKEN = 1000

export class TokenUses {
  readonly #uses = new Map<string, TokenUse>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number = Date.now) {
    this.#nowMs = nowMs
  }

  note(id: string, remote: string, atMs = this.#nowMs()): void {
    if (this.#uses.size < MAX_TOKENS || this.#uses.has(id))
      this.#uses.set(id, { id, at: new Date(atMs).toISOString(), remote })
  }

  /** At most as many as one message holds; they are forgotten here. */
  take(): TokenUse[] {
    const taken = [...this.#uses.values()].slice(0, MAX_TAKEN)
    for (const { id } of taken) this.#uses.delete(id)
    return taken
  }

  /** Puts back what could not be told, unless there was a newer use. */
  restore(uses: readonly TokenUse[]): void {
    for (const use of uses) if (!this.#uses.has(use.id)) this.#uses.set(use.id, use)
  }
}
