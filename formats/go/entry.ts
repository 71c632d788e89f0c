/**
 * What is kept with a version of a module: its checksums, and what its go.mod says about other versions. Nothing of it is known of
 * what an upstream lists.
 */
import { isObject, parseJson } from '../text/json.js'

export interface Entry {
  /** 'h1:…' of the zip file and of the go.mod, as go.sum has them. */
  sum: string
  goModSum: string
  /** The zip file has a go.mod; otherwise the one that is served was made here. */
  hasGoMod: boolean
  /** Intervals of versions, both ends included. */
  retracted: [low: string, high: string][]
}

export function writeEntry(entry: Entry): string {
  return JSON.stringify(entry)
}

/** Of what an upstream lists, nothing is known here; it is the upstream's to tell. */
export function isPublishedHere(meta: string): boolean {
  return readEntry(meta).sum !== ''
}

export function readEntry(meta: string): Entry {
  const stored = parseJson(meta, 'A stored entry')
  const { sum, goModSum, hasGoMod, retracted } = isObject(stored) ? stored : {}
  return {
    sum: typeof sum === 'string' ? sum : '',
    goModSum: typeof goModSum === 'string' ? goModSum : '',
    hasGoMod: hasGoMod === true,
    retracted: Array.isArray(retracted) ? retracted.filter(isInterval) : [],
  }
}

function isInterval(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((end) => typeof end === 'string')
}
