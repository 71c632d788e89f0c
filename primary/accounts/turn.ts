/** Lets one piece of work run at a time, in order of arrival, so that what it checked still holds when it writes. */
export class Turn {
  #last: Promise<unknown> = Promise.resolve()

  run<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => undefined)
    return done
  }
}
