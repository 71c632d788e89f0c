/** A small text in a file of its own, replaced atomically and synced, with a checksum: whole, or known to be damaged. */
import { open, readFile, rename } from 'node:fs/promises'
import { basename } from 'node:path'
import { seal, unseal } from './level-rows.js'

export async function writeSealed(path: string, text: string): Promise<void> {
  const file = await open(`${path}.new`, 'w', 0o600)
  try {
    await file.writeFile(seal(basename(path), text))
    await file.datasync()
  } finally {
    await file.close()
  }
  await rename(`${path}.new`, path)
}

/** undefined: there is none. */
export async function readSealed(path: string): Promise<string | 'damaged' | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (unseal(basename(path), text) ?? 'damaged')
}
