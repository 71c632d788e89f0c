/** What a rescue found out, in `<data>/rescue.json`: what nobody had is looked for again when another node is there. */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Fetched } from './missing.js'
import type { Rescued } from './rescue.js'

export interface RescueReport extends Rescued {
  /** How many nodes listened when blobs were asked for. */
  returned: number
  blobs: Fetched
}

export function reportPath(data: string): string {
  return join(data, 'rescue.json')
}

export async function saveReport(data: string, report: RescueReport): Promise<void> {
  const path = reportPath(data)
  await writeFile(`${path}.new`, `${JSON.stringify(report, null, 2)}\n`, { mode: 0o600, flush: true })
  await rename(`${path}.new`, path)
}

/** Of what was missing; nothing where nobody was rescued, or nothing is missing. */
export async function lookAgain(data: string, fetch: () => Promise<Fetched>): Promise<void> {
  const text = await readFile(reportPath(data), 'utf8').catch(() => undefined)
  const report = text === undefined ? undefined : (JSON.parse(text) as RescueReport)
  if (!report || report.blobs.missing.every(({ upstream }) => upstream)) return
  const { blobs, fetched, missing } = await fetch()
  if (fetched > 0)
    await saveReport(data, { ...report, blobs: { blobs, fetched: report.blobs.fetched + fetched, missing } })
}
