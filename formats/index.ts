/** Every format that this registry speaks. A new ecosystem is one file and one line. */
import type { Format } from '../protocol/format.js'
import { cargo } from './cargo.js'
import { generic } from './generic.js'
import { go } from './go.js'
import { maven } from './maven.js'
import { npm } from './npm.js'
import { oci } from './oci.js'
import { pypi } from './pypi.js'

export const formats: readonly Format[] = [
  generic, //
  cargo,
  go,
  maven,
  npm,
  oci,
  pypi,
]
