/** That the primary signed what contradicts itself, kept in `contradiction.json` with both notes, for people to look at, too. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Contradiction, contradictionShape } from '../../protocol/log/contradiction.js'

const NAME = 'contradiction.json'

export class Evidence {
  readonly #path: string
  #found: Contradiction | undefined

  private constructor(path: string, found: Contradiction | undefined) {
    this.#path = path
    this.#found = found
  }

  static async open(dir: string): Promise<Evidence> {
    const path = join(dir, NAME)
    const text = await readFile(path, 'utf8').catch(() => undefined)
    return new Evidence(path, text === undefined ? undefined : contradictionShape.parse(JSON.parse(text)))
  }

  get found(): Contradiction | undefined {
    return this.#found
  }

  /** The operator began an epoch after it: it counts no more, and stays to be looked at. */
  async settle(): Promise<void> {
    if (!this.#found) return
    await rename(this.#path, `${this.#path}.settled`)
    this.#found = undefined
  }

  /** The first one is kept. */
  async keep(found: Contradiction): Promise<void> {
    this.#found ??= found
    await writeFile(`${this.#path}.new`, `${JSON.stringify(this.#found, null, 2)}\n`, { mode: 0o600, flush: true })
    await rename(`${this.#path}.new`, this.#path)
  }
}
