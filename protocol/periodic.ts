/** Runs a task again and again, never twice at once. `close` waits for the run under way. A failed run does not end it. */
export class Periodic {
  readonly #task: () => Promise<unknown>
  readonly #everyMs: number
  readonly #failed: (error: unknown) => void
  #timer: NodeJS.Timeout | undefined
  #running: Promise<void> | undefined
  #closed = false

  constructor(task: () => Promise<unknown>, everyMs: number, failed: (error: unknown) => void) {
    this.#task = task
    this.#everyMs = everyMs
    this.#failed = failed
  }

  /** `firstMs`: until the first run. */
  start(firstMs = this.#everyMs): void {
    if (this.#closed || this.#timer) return
    this.#timer = setTimeout(() => {
      this.#running = this.#run()
    }, firstMs)
    this.#timer.unref()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await this.#running
  }

  async #run(): Promise<void> {
    try {
      await this.#task()
    } catch (error) {
      this.#failed(error)
    } finally {
      this.#timer = undefined
      this.start()
    }
  }
}
