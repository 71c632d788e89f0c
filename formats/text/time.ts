/** A time that somebody else wrote, as ISO 8601 in UTC; undefined: it is none. */
export function isoTime(value: unknown): string | undefined {
  const ms = typeof value === 'string' && value.length < 64 ? Date.parse(value) : Number.NaN
  return Number.isNaN(ms) ? undefined : new Date(ms).toISOString()
}
