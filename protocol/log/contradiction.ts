/** Two checkpoints that one honest primary cannot have signed both: whoever holds such a pair can show it to anybody. */
import { z } from 'zod'
import { RegistryError } from '../errors.js'
import type { Checkpoint } from './checkpoint.js'

export const contradictionShape = z.object({
  /** What is wrong, for people. */
  sentence: z.string().max(500),
  /** Both signed notes (checkpoint.ts), as evidence. */
  notes: z.tuple([z.string().max(4096), z.string().max(4096)]),
  /** ISO 8601, by the clock of whoever found it. */
  at: z.iso.datetime(),
})
export type Contradiction = z.infer<typeof contradictionShape>

/** One sentence; undefined: both may be of one log. Their signatures were checked before. */
export function contradicts(one: Checkpoint, other: Checkpoint): string | undefined {
  if (one.epoch !== other.epoch) return undefined
  const [shorter, longer] = one.number <= other.number ? [one, other] : [other, one]
  if (shorter.number === longer.number)
    return Buffer.compare(one.root, other.root) === 0
      ? undefined
      : `Two different logs of length ${one.number} are signed: the log was forked`
  if (shorter.time <= longer.time) return undefined
  return `A log of ${shorter.number} was signed after one of ${longer.number}: the log was rolled back`
}

/** The error of whoever found one and believes nothing from then on. */
export function contradictionError({ sentence }: Pick<Contradiction, 'sentence'>): RegistryError {
  return new RegistryError('corrupt', sentence, { code: 'log_contradiction' })
}
