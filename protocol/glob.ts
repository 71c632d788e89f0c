/** Globs over repository keys and package names: `*` is any run of characters, everything else is literal. Linear time. */
export function matches(glob: string, text: string): boolean {
  const star = glob.indexOf('*')
  if (star < 0) return glob === text
  if (star === glob.length - 1) return text.startsWith(glob.slice(0, -1))
  const parts = glob.split('*')
  const [first = '', ...rest] = parts
  const last = rest.pop() ?? ''
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
  let at = first.length
  for (const part of rest) {
    const found = text.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= text.length - last.length
}

export function matchesAny(globs: readonly string[], text: string): boolean {
  return globs.some((glob) => matches(glob, text))
}
