/** `cairn rescue` from beginning to end, and what it found out. */
import { join } from 'node:path'
import { errorFields, logger } from '../../protocol/observe/log.js'
import type { RecoveryKey } from '../../protocol/recovery/key.js'
import type { PrimarySettings } from '../../protocol/settings.js'
import { database, type PrimaryProgram, startPrimary } from '../main.js'
import { type RescueReport, saveReport } from './report.js'
import { type Rescued, refuseIfInUse, rescue } from './rescue.js'

export interface RescueRun {
  recovery: RecoveryKey
  nodes: readonly string[]
  restored: boolean
  /** How long nodes may take to find the primary again. */
  waitMs: number
  onProgress: (sentence: string) => void
}

/** The primary runs while blobs are fetched, and has ended when this returns. */
export async function runRescue(
  settings: PrimarySettings,
  program: PrimaryProgram,
  run: RescueRun,
): Promise<RescueReport> {
  const rescued = await rescueRecords(settings, program, run)
  const reachable = rescued.nodes.filter(({ error }) => error === null).length
  run.onProgress(`Epoch ${rescued.epoch} begins with ${rescued.changes} changes; waiting for ${reachable} nodes`)
  const primary = await startPrimary(settings, program)
  try {
    const returned = await primary.listening(reachable, run.waitMs)
    const blobs = await primary.fetchMissing(({ blobs: all, fetched, missing }) =>
      run.onProgress(`${all} blobs looked for, ${fetched} fetched, ${missing.length} not found`),
    )
    const report = { ...rescued, returned, blobs }
    await saveReport(settings.data, report)
    return report
  } finally {
    await primary.close()
  }
}

async function rescueRecords(settings: PrimarySettings, program: PrimaryProgram, run: RescueRun): Promise<Rescued> {
  const closers: (() => Promise<void>)[] = []
  const log = logger('primary', settings.logLevel, program.logTo)
  try {
    const pool = await database(settings, program.root, log, closers)
    const keys = join(settings.data, 'keys')
    await refuseIfInUse(keys, pool, run.restored)
    return await rescue({ ...run, pool, keys, now: () => new Date().toISOString() })
  } finally {
    for (const close of closers.reverse())
      await close().catch((error: unknown) => log.warn(errorFields(error), 'the rescue did not end cleanly'))
  }
}
