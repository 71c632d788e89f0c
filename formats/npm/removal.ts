/** The steps that take versions away: tags that named them go or move, so that `latest` never names what is not there. */
import type { Step } from '../../protocol/records.js'
import { own } from '../text/json.js'
import { highest } from './name.js'

export function removal(
  name: string,
  gone: readonly string[],
  present: Iterable<string>,
  tags: Record<string, string>,
): Step[] {
  const going = new Set(gone)
  const left = [...present].filter((version) => !going.has(version))
  const lost = Object.keys(tags).filter((tag) => going.has(own(tags, tag) ?? ''))
  const moved = lost.map(
    (tag): Step => ({ kind: 'tag', package: name, tag, version: tag === 'latest' ? (highest(left) ?? null) : null }),
  )
  return [...moved, ...gone.map((version): Step => ({ kind: 'remove', package: name, version }))]
}
