/**
 * Which versions a rule is about, in one notation for all formats: versions as they are (`1.4.5`), with a star (`1.4.*`), and
 * comparisons (`>=1.0 <1.4.2`), between spaces or commas. It is about a version that is one of those named, and about one for which
 * all the comparisons hold. Prereleases are where the ecosystem's own order has them.
 */
import { RegistryError } from '../errors.js'
import type { Grammar } from '../format.js'
import { matches } from '../glob.js'

export type Range = (version: string) => boolean

const HOLDS: Readonly<Record<string, (order: number) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
}

/** Throws `invalid` for what is no range of such versions. */
export function parseRange(text: string, { compare }: Pick<Grammar, 'compare'>): Range {
  const named: Range[] = []
  const compared: Range[] = []
  const terms = text.replace(/([<>=])\s+/g, '$1').split(/[\s,]+/)
  for (const term of terms.filter(Boolean)) {
    const [, sign = '=', operand = ''] = /^([<>]=?|=)?(.*)$/s.exec(term) ?? []
    const holds = HOLDS[sign]
    if (operand === '' || /[<>=]/.test(operand)) throw invalid(`${JSON.stringify(term)} is no version or comparison`)
    if (operand.includes('*') && !holds) named.push((version) => matches(operand, version))
    else if (compare && compare(operand, operand) === undefined)
      throw invalid(`${operand} is no version of this format`)
    else if (!holds) named.push((version) => version === operand || compare?.(version, operand) === 0)
    else if (compare) compared.push((version) => holdsFor(compare(version, operand), holds))
    else throw invalid('Versions of this format have no order: name them as they are, or with "*"')
  }
  if (named.length + compared.length === 0) throw invalid('A range of versions is empty')
  return (version) =>
    named.some((is) => is(version)) || (compared.length > 0 && compared.every((holds) => holds(version)))
}

function holdsFor(order: number | undefined, holds: (order: number) => boolean): boolean {
  return order !== undefined && holds(order)
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'rule_invalid' })
}
