/** Paths of modules and of the files in them, by the rules of golang.org/x/mod/module. Pure; faults are the ends of sentences. */
import { majorOf, type Version } from './version.js'

/** What is wrong with a module path; undefined: nothing. */
export function faultOfModule(path: string): string | undefined {
  if (path.startsWith('-')) return 'begins with "-"'
  const fault = faultOfElements(path, faultOfModuleElement)
  if (fault !== undefined) return fault
  const [first = ''] = path.split('/', 1)
  if (!first.includes('.')) return 'has no dot in its first element, as a domain name has'
  if (!/^[-.0-9a-z]+$/.test(first)) return 'has a first element that is not a domain name in lower case'
  return majorSuffix(path) === undefined ? 'ends in a version that is not /v2, /v3 and so on' : undefined
}

/** What is wrong with the path of a file inside a module; undefined: nothing. */
export function faultOfFile(path: string): string | undefined {
  return faultOfElements(path, faultOfFileElement)
}

/** What is wrong with such a version of such a module; undefined: nothing. */
export function faultOfMajor(path: string, version: Version): string | undefined {
  const suffix = majorSuffix(path)
  const major = majorOf(version)
  const isEarly = major === 'v0' || major === 'v1'
  if (version.isIncompatible && (suffix !== '' || isEarly))
    return '+incompatible is for v2 and later of modules whose path does not end in a version'
  if (suffix === '') return isEarly || version.isIncompatible ? undefined : `its path must end in /${major}`
  const wanted = suffix?.slice(1).replace(/-unstable$/, '')
  // An old mistake that other modules' requirements still name.
  if (wanted === major || (suffix === '.v1' && version.text.startsWith('v0.0.0-'))) return undefined
  return `a module whose path ends in ${suffix} has versions ${wanted}`
}

/** '/v2', '.v2' below gopkg.in, '' for none; undefined for one that cannot be. */
function majorSuffix(path: string): string | undefined {
  if (path.startsWith('gopkg.in/')) return /\.v(?:0|[1-9]\d*)(?:-unstable)?$/.exec(path)?.[0]
  const suffix = /\/v[\d.]+$/.exec(path)?.[0]
  if (suffix === undefined) return ''
  return /^\/v[1-9]\d*$/.test(suffix) && suffix !== '/v1' ? suffix : undefined
}

const MODULE_ELEMENT = /^[-._~0-9A-Za-z]+$/
/** Unicode letters, and the punctuation that no shell and no file system gives a meaning. */
const FILE_ELEMENT = /^[\p{L}0-9!#$%&()+,\-.=@[\]^_{}~ ]+$/u
/** Windows opens devices for these, with any extension. */
const DEVICE = /^(?:con|prn|aux|nul|com[1-9]|lpt[1-9])$/i

function faultOfElements(path: string, faultOf: (element: string) => string | undefined): string | undefined {
  for (const element of path.split('/')) {
    if (element === '') return 'has an empty element'
    const fault = /^\.+$/.test(element) ? 'has an element of dots' : faultOf(element)
    if (fault !== undefined) return fault
    if (element.endsWith('.')) return 'has an element that ends with a dot'
    if (DEVICE.test(beforeDot(element))) return `has an element that is a device on Windows: ${element}`
  }
  return undefined
}

function faultOfModuleElement(element: string): string | undefined {
  if (!MODULE_ELEMENT.test(element)) return 'holds a character that module paths cannot have'
  if (element.startsWith('.')) return 'has an element that begins with a dot'
  // Windows makes such names for long ones.
  return /~\d+$/.test(beforeDot(element)) ? 'has an element that ends with "~" and digits' : undefined
}

function faultOfFileElement(element: string): string | undefined {
  return FILE_ELEMENT.test(element) ? undefined : 'holds a character that file names in modules cannot have'
}

function beforeDot(element: string): string {
  return element.split('.', 1)[0] ?? ''
}
