/** What a bench is, and what it says. A number that misses its target is a result; only what cannot be measured is an error. */
import type { Rig } from './rig/rig.js'

export interface Bench {
  /** One word, as typed after `npm run bench`. */
  name: string
  /** One sentence for the list. */
  title: string
  run(context: Context): Promise<Row[]>
}

export interface Context {
  /** Owns everything that the bench starts. */
  rig: Rig
  /** Shorter, with fewer pairs: to see whether it runs. */
  quick: boolean
  /** What takes many minutes, too. */
  full: boolean
  /** Says what happens, on the error stream. */
  say(sentence: string): void
}

export type Row = Measured | Skipped

export interface Measured {
  what: string
  value: number
  unit: Unit
  /** Left out where the figure is shown only. */
  must?: { be: 'at least' | 'at most' | 'below'; value: number }
  /** Raw figures by name, as they were measured. */
  raw: Record<string, number[]>
  /** How to read it, one sentence each. */
  notes: string[]
}

export interface Skipped {
  what: string
  skipped: string
}

export type Unit = 'x' | 'MiB' | 'ms' | 's' | '% of a core' | '/s'

export type Verdict = 'reached' | 'missed' | 'shown' | 'skipped'

export function verdict(row: Row): Verdict {
  if ('skipped' in row) return 'skipped'
  if (!row.must) return 'shown'
  const { be, value } = row.must
  const reached = be === 'at least' ? row.value >= value : be === 'at most' ? row.value <= value : row.value < value
  return reached ? 'reached' : 'missed'
}
