/** The LevelDB of a replica: opened, or set aside when it is of no use. Everything in it can be fetched again. */
import { rename, rm } from 'node:fs/promises'
import { Level } from 'level'
import { RegistryError } from '../../protocol/errors.js'

export type Database = Level<string, string>

/** A database that LevelDB cannot open is set aside. Throws `unavailable` when another process uses it. */
export async function openDatabase(path: string, onAlarm: (sentence: string) => void): Promise<Database> {
  try {
    return await openAlone(path)
  } catch (error) {
    if (error instanceof RegistryError) throw error
    return startOver(path, onAlarm)
  }
}

/** Throws `unavailable` when another process uses it. */
export async function openAlone(path: string): Promise<Database> {
  try {
    return await open(path)
  } catch (error) {
    if (!codesOf(error).includes('LEVEL_LOCKED')) throw error
    throw new RegistryError('unavailable', 'Another process uses the data of this node', { cause: error })
  }
}

/** An empty database in the place of one that is closed; that one is kept until the next time, to be looked at. */
export async function startOver(path: string, onAlarm: (sentence: string) => void): Promise<Database> {
  onAlarm('The records could not be read; they are set aside and fetched again')
  await rm(`${path}.damaged`, { recursive: true, force: true })
  await rename(path, `${path}.damaged`)
  return open(path)
}

/** Does LevelDB say that its files are damaged or lost. */
export function isDamage(error: unknown): boolean {
  return codesOf(error).some((code) => code === 'LEVEL_CORRUPTION' || code === 'LEVEL_IO_ERROR')
}

async function open(path: string): Promise<Database> {
  const db: Database = new Level(path, { keyEncoding: 'utf8', valueEncoding: 'utf8' })
  await db.open()
  return db
}

function codesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return []
  const own = 'code' in error && typeof error.code === 'string' ? [error.code] : []
  return [...own, ...codesOf(error.cause)]
}
