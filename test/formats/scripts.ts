/** The scripts of all formats, for the matrices. */
import { cargoScript } from './cargo.script.js'
import { genericScript } from './generic.script.js'
import { goScript } from './go.script.js'
import { mavenScript } from './maven.script.js'
import { npmScript } from './npm.script.js'
import { ociScript } from './oci.script.js'
import { pypiScript } from './pypi.script.js'
import type { Script } from './script.js'

export const scripts: readonly Script[] = [
  genericScript, //
  cargoScript,
  goScript,
  mavenScript,
  npmScript,
  ociScript,
  pypiScript,
]
