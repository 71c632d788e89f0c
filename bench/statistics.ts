/** Medians, percentiles and interleaved pairs. Pure but for the runs that it is given. */

export interface Pairs {
  ours: number[]
  theirs: number[]
  /** ours ÷ theirs, one for each pair. */
  ratios: number[]
}

/**
 * Runs both sides one after the other, `count` times, each pair in the other order, so that a machine that becomes slower or
 * faster meanwhile does so for both.
 */
export async function pairs(count: number, ours: () => Promise<number>, theirs: () => Promise<number>): Promise<Pairs> {
  const result: Pairs = { ours: [], theirs: [], ratios: [] }
  for (let i = 0; i < count; i++) {
    const swapped = i % 2 === 1
    const first = await (swapped ? theirs : ours)()
    const second = await (swapped ? ours : theirs)()
    const [our, their] = swapped ? [second, first] : [first, second]
    result.ours.push(our)
    result.theirs.push(their)
    result.ratios.push(our / their)
  }
  return result
}

/** Of an empty list NaN, which no target accepts. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}

/** The smallest value that `share` (0 to 1) of all values do not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}
