/** Which of several media types a client wants (RFC 9110 section 12.5.1). */

/** The best of `offered`, of which earlier ones win a draw. undefined: the client accepts none of them. */
export function preferred<T extends string>(accept: string | undefined, offered: readonly T[]): T | undefined {
  if (accept === undefined || accept.trim() === '') return offered[0]
  const ranges = accept.slice(0, MAX_HEADER).toLowerCase().split(',').map(parseRange)
  let best: { type: T; quality: number } | undefined
  for (const type of offered) {
    const quality = qualityOf(type, ranges)
    if (quality > 0 && quality > (best?.quality ?? 0)) best = { type, quality }
  }
  return best?.type
}

const MAX_HEADER = 4096

interface Range {
  name: string
  quality: number
}

function parseRange(text: string): Range {
  const [name = '', ...parameters] = text.split(';').map((part) => part.trim())
  const q = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
  return { name, quality: q >= 0 && q <= 1 ? q : 0 }
}

/** The most specific range decides. */
function qualityOf(type: string, ranges: readonly Range[]): number {
  for (const name of [type, `${type.split('/', 1)[0]}/*`, '*/*']) {
    const range = ranges.find((each) => each.name === name)
    if (range) return range.quality
  }
  return 0
}
