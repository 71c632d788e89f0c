/**
 * Does a glob name the licence that an entry tells, in any case of letters. Of an SPDX expression, "A OR B" is named only if both
 * are, since whoever uses it may choose; "A AND B" and "A WITH B" if either is. Parentheses are read as if they were not there.
 */
import { matches } from '../glob.js'

export function namesLicence(glob: string, licence: string): boolean {
  const wanted = glob.toLowerCase()
  const text = licence.toLowerCase().replace(/[()]/g, ' ').trim()
  if (text === '') return false
  return text
    .split(/\s+or\s+/)
    .every((choice) => choice.split(/\s+(?:and|with)\s+/).some((one) => matches(wanted, one)))
}
