/**
 * `cairn verify --log FILE`: does the log go on from the checkpoint that was kept in the file. The newest one is kept in its place, so
 * whoever asks again and again, also elsewhere, notices a registry that shows different logs, or one that was shortened.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { RegistryError } from '../../protocol/errors.js'
import { type Checkpoint, parseVerifierKey, verifyCheckpoint } from '../../protocol/log/checkpoint.js'
import { isConsistent } from '../../protocol/log/consistency.js'
import { contradictionError, contradicts } from '../../protocol/log/contradiction.js'
import { record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal } from '../terminal.js'

export async function verifyLog(
  file: string,
  flags: ClientFlags & { logKey?: string },
  terminal: Terminal,
): Promise<void> {
  const path = resolve(terminal.folder, file)
  const client = await connect(flags, terminal)
  const told = record(await client.json('GET', '/api/v1/log'))
  const { fleet, publicKey } = parseVerifierKey(flags.logKey ?? String(told.key))
  const checked = (note: string) => verifyCheckpoint(note, fleet, publicKey)
  const kept = await readFile(path, 'utf8').catch(() => undefined)
  const before = kept === undefined ? undefined : checked(kept)
  let note = String(told.checkpoint)
  // Before the proof is asked for, which nobody could make of a log that is shorter.
  refuseContradiction(before, checked(note))
  if (before && before.number > 0 && before.number <= checked(note).number) {
    const answer = record(await client.json('GET', `/api/v1/log/consistency?from=${before.number}`))
    note = String(answer.checkpoint)
    if (!isConsistent(before, checked(note), Buffer.from(String(answer.proof), 'base64')))
      throw contradictionError({ sentence: `The log of ${before.number} in ${file} is not how the present one begins` })
  }
  const now = checked(note)
  const newest = before && before.number > now.number ? before : now
  if (newest === now) await replace(path, note)
  const { number, epoch, time } = newest
  print(terminal, flags, { number, epoch, time, from: before?.number ?? null }, () =>
    before
      ? `The log of ${number} changes, signed ${time}, goes on from the one of ${before.number} in ${file}`
      : `The log has ${number} changes, signed ${time}; its checkpoint is kept in ${file}`,
  )
}

function refuseContradiction(before: Checkpoint | undefined, now: Checkpoint): void {
  const sentence = before && contradicts(before, now)
  if (sentence !== undefined) throw contradictionError({ sentence })
  if (before && before.epoch !== now.epoch)
    throw new RegistryError(
      'corrupt',
      `The log is of epoch ${now.epoch}, and the one that was kept of epoch ${before.epoch}`,
    )
}

async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}
