/** Values in what a provider claims of somebody. */

/** Under a name, or, where none has it, under a path of names with dots: `realm_access.roles`. */
export function claimAt(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path]
  let value: unknown = claims
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** '' for anything but a text. */
export function textAt(claims: Readonly<Record<string, unknown>>, path: string): string {
  const value = claimAt(claims, path)
  return typeof value === 'string' ? value : ''
}

export function textsAt(claims: Readonly<Record<string, unknown>>, path: string): string[] {
  return [claimAt(claims, path)].flat().filter((value) => typeof value === 'string')
}
