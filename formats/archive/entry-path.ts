/** Names of archive entries, judged as the least careful unpacker on any system would take them. */

/** Relative, and never above where it starts. A leading './' and a trailing '/' are fine. */
export function isPlainPath(path: string): boolean {
  if (path === '' || path.startsWith('/') || DRIVE.test(path) || UNSAFE.test(path)) return false
  return !path.split('/').includes('..')
}

/** Does a symbolic link at `path` stay inside the archive's top folder. */
export function isInside(path: string, target: string): boolean {
  if (target === '' || target.startsWith('/') || DRIVE.test(target) || UNSAFE.test(target)) return false
  const folder = path.split('/').filter(isStep).slice(0, -1)
  let depth = folder.length
  for (const step of target.split('/').filter(isStep)) {
    depth += step === '..' ? -1 : 1
    if (depth < 1) return false
  }
  return true
}

const DRIVE = /^[A-Za-z]:/
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const UNSAFE = /[\0-\x1f\x7f]|\\/

function isStep(segment: string): boolean {
  return segment !== '' && segment !== '.'
}
