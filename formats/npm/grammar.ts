/** What rules need to know of npm: its versions, the tag `latest`, and the licence in an entry, in today's form and in older ones. */
import type { Grammar } from '../../protocol/format.js'
import { isObject } from '../text/json.js'
import { compareSemver } from '../text/semver.js'
import { readEntry } from './entry.js'
import { highest } from './name.js'
import { text } from './notes.js'

export const grammar: Grammar = {
  compare: compareSemver,
  newest: { tag: 'latest', of: highest },
  licence: (meta) => {
    const { license, licenses } = meta === '' ? {} : readEntry(meta)
    const all = Array.isArray(licenses) ? licenses : [license]
    // Several in a list are to be chosen from.
    return all
      .map((one) => text(isObject(one) ? one.type : one))
      .filter(Boolean)
      .join(' OR ')
  },
}
