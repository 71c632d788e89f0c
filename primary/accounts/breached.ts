/**
 * Passwords that everybody tries first: the most common ones of known breaches, and those of a file that the operator has. Compared
 * without case. What is kept is the beginning of each one's SHA-256.
 */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { RegistryError } from '../../protocol/errors.js'
import { COMMON_PASSWORDS } from './common-passwords.js'

const MARK_BYTES = 6
const MAX_LINES = 10_000_000

export class BreachedPasswords {
  readonly #marks = new Set<number>()

  constructor() {
    const bytes = Buffer.from(COMMON_PASSWORDS, 'base64url')
    for (let at = 0; at + MARK_BYTES <= bytes.length; at += MARK_BYTES)
      this.#marks.add(bytes.readUIntBE(at, MARK_BYTES))
  }

  /** `file`: one password a line, UTF-8. Throws `invalid` when it cannot be read. */
  static async with(file: string | undefined): Promise<BreachedPasswords> {
    const list = new BreachedPasswords()
    if (file !== undefined) await list.#read(file)
    return list
  }

  has(password: string): boolean {
    return this.#marks.has(markOf(password))
  }

  async #read(path: string): Promise<void> {
    let lines = 0
    try {
      const file = await open(path)
      for await (const line of file.readLines()) {
        if (++lines > MAX_LINES) throw new Error(`it has more than ${MAX_LINES} lines`)
        if (line !== '') this.#marks.add(markOf(line))
      }
    } catch (cause) {
      throw new RegistryError('invalid', `The list of passwords ${path} cannot be used`, { cause })
    }
  }
}

function markOf(password: string): number {
  return createHash('sha256').update(password.normalize('NFC').toLowerCase()).digest().readUIntBE(0, MARK_BYTES)
}
