/**
 * Properties of an artifact: short texts by name, kept inside its version's own entry (`meta`) under `_cairn`, so that they
 * are replicated, restored and removed with it. Clients of formats ignore fields that begin with an underscore.
 */
import { z } from 'zod'
import { RegistryError } from '../errors.js'

export type Properties = Record<string, string>

export const propertyChanges = z
  .record(
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'a name is 1 to 100 of A-Z, a-z, 0-9, ".", "_" and "-"'),
    z.string().max(4096).nullable(),
  )
  .meta({ description: 'null removes one' })

const MAX_PROPERTIES = 100
const FIELD = '_cairn'
const stored = z.object({ [FIELD]: z.object({ properties: z.record(z.string(), z.string()) }) })

/** Nothing where there are none or the entry is no JSON object. */
export function readProperties(meta: string): Properties {
  // Most entries have none, and some are large.
  if (!meta.includes(`"${FIELD}"`)) return {}
  return stored.safeParse(parse(meta)).data?.[FIELD].properties ?? {}
}

/** The entry with changed properties; everything else in it stays as it was. */
export function writeProperties(meta: string, changes: Record<string, string | null>): string {
  const entry = meta === '' ? {} : parse(meta)
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
    throw new RegistryError('unsupported', 'Files of this format cannot have properties')
  const properties = new Map(Object.entries(readProperties(meta)))
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) properties.delete(name)
    else properties.set(name, value)
  }
  if (properties.size > MAX_PROPERTIES)
    throw new RegistryError('invalid', `An artifact has at most ${MAX_PROPERTIES} properties`)
  const { [FIELD]: _, ...rest } = entry as Record<string, unknown>
  return JSON.stringify(
    properties.size === 0 ? rest : { ...rest, [FIELD]: { properties: Object.fromEntries(properties) } },
  )
}

function parse(meta: string): unknown {
  try {
    return JSON.parse(meta)
  } catch {
    return undefined
  }
}
