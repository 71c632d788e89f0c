/** Accept-Encoding with its q-values (RFC 9110, section 12.5.3). */

/** Is the coding acceptable, and not less welcome than no coding at all. An absent header means: do not transform. */
export function accepts(header: string | undefined, coding: string): boolean {
  if (header === undefined) return false
  const qualities = parsed(header)
  const any = qualities.get('*')
  const wanted = qualities.get(coding) ?? any ?? 0
  // No coding is always acceptable unless excluded, and preferred only where the client says so.
  return wanted > 0 && wanted >= (qualities.get('identity') ?? 0)
}

/** Clients send very few different headers. */
function parsed(header: string): Map<string, number> {
  const known = remembered.get(header)
  if (known) return known
  const qualities = parse(header)
  if (remembered.size < REMEMBERED) remembered.set(header, qualities)
  return qualities
}

const REMEMBERED = 64
const remembered = new Map<string, Map<string, number>>()

function parse(header: string): Map<string, number> {
  const qualities = new Map<string, number>()
  for (const item of header.toLowerCase().split(',')) {
    const [coding = '', ...parameters] = item.split(';').map((part) => part.trim())
    if (coding !== '') qualities.set(coding, quality(parameters))
  }
  return qualities
}

function quality(parameters: string[]): number {
  const weight = parameters.find((parameter) => parameter.startsWith('q='))
  if (weight === undefined) return 1
  const value = Number(weight.slice(2))
  return value >= 0 && value <= 1 ? value : 0
}
