/** How names stand in URLs and file names: '!' and the lower-case letter for each upper-case one, since some disks know no case. */

export function escapeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`)
}

/** undefined: it is not the escaped spelling of anything. */
export function unescapeCase(escaped: string): string | undefined {
  if (!/^(?:[\0-\x20\x22-\x40\x5b-\x7f]|![a-z])*$/.test(escaped)) return undefined
  return escaped.replace(/!([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
