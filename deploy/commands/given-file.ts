/** Files that are given to commands: for what has too many options, or is too secret, for a command line. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RegistryError } from '../../protocol/errors.js'
import type { Terminal } from '../terminal.js'

export async function textIn(path: string, { folder }: Pick<Terminal, 'folder'>): Promise<string> {
  return readFile(resolve(folder, path), 'utf8').catch((cause: unknown) => {
    throw new RegistryError('invalid', `${path} cannot be read`, { cause, code: 'usage' })
  })
}

export async function jsonIn(path: string, terminal: Pick<Terminal, 'folder'>): Promise<unknown> {
  const text = await textIn(path, terminal)
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RegistryError('invalid', `${path} is not JSON`, { cause, code: 'usage' })
  }
}
