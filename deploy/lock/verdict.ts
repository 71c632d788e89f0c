/** How much of a lock file a machine holds, in a number and in words. */
import type { FileState, Found } from '../../protocol/holding.js'

export interface Verdict {
  versions: number
  held: number
  /** 100 only when it is all of them. */
  percent: number
  missing: Missing[]
}

export interface Missing {
  package: string
  version: string
  /** null: nothing is known of the version. */
  file: string | null
  /** Are there other bytes than the lock file says. */
  differs: boolean
  reason: string
}

/** `any`: one file of a version is enough. */
export function verdictOf(found: readonly Found[], any: boolean): Verdict {
  const missing = found.flatMap((one) => missingIn(one, any))
  const lacking = new Set(missing.map((one) => `${one.package}\0${one.version}`))
  const [versions, held] = [found.length, found.length - lacking.size]
  const percent = versions === 0 ? 100 : Math.floor((held / versions) * 1000) / 10
  return { versions, held, percent, missing }
}

/** Is it what was asked for, so that nothing more needs to be done. */
export function isWhole(found: Found, any: boolean): boolean {
  return missingIn(found, any).length === 0
}

export function sentenceOf({ package: name, version, file, reason }: Missing): string {
  return `${name} ${version}: ${file === null ? '' : `${file}: `}${reason}`
}

function missingIn({ package: name, version, files, reason }: Found, any: boolean): Missing[] {
  const common = { package: name, version }
  if (reason !== undefined || files.length === 0)
    return [{ ...common, file: null, differs: false, reason: reason ?? 'No file of it is known' }]
  if (any && files.some(isHeld)) return []
  return files
    .filter((file) => !isHeld(file))
    .map((file) => ({
      ...common,
      file: file.name,
      differs: file.state === 'differs',
      reason: file.reason ?? 'It is not here',
    }))
}

function isHeld({ state }: FileState): boolean {
  return state === 'held' || state === 'fetched'
}
