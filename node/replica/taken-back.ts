/** What an epoch took back, kept beside the replica to be looked at: frames (wire/feed.ts) of the entries, then of their checkpoints. */
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { LogItem } from '../../protocol/log/entry.js'
import type { Position } from '../../protocol/records.js'
import { encodeFrame } from '../../protocol/wire/feed.js'

export async function keepTakenBack(
  dir: string,
  { epoch, number }: Position,
  { items, notes }: { items: readonly LogItem[]; notes: readonly string[] },
): Promise<void> {
  const file = await open(join(dir, `taken-back-by-epoch-${epoch}-beyond-${number}`), 'w', 0o600)
  try {
    for (const item of items) await file.write(encodeFrame({ type: 'item', item }))
    for (const note of notes) await file.write(encodeFrame({ type: 'checkpoint', note }))
    await file.datasync()
  } finally {
    await file.close()
  }
}
