/** Every format that this registry speaks. A new ecosystem is one file and one line. */
import type { Format } from '../protocol/format.js'
import { generic } from './generic.js'
import { npm } from './npm.js'
import { oci } from './oci.js'

export const formats: readonly Format[] = [
  generic, //
  npm,
  oci,
]
