/** A format's own settings of a repository: what is chosen must be something that the format offers. */
import { RegistryError } from '../protocol/errors.js'
import type { Format, Setting } from '../protocol/format.js'
import type { Settings } from '../protocol/records.js'

/** null takes one away. */
export type SettingChanges = Readonly<Record<string, string | number | null>>

/** Throws `invalid`. */
export function changedSettings(
  offered: NonNullable<Format['settings']>,
  before: Settings,
  changes: SettingChanges,
): Settings {
  const settings = new Map(Object.entries(before))
  for (const [name, value] of Object.entries(changes)) {
    const setting = Object.hasOwn(offered, name) ? offered[name] : undefined
    if (!setting)
      throw invalid(`There is no setting ${JSON.stringify(name)}; there are ${listed(Object.keys(offered))}`)
    if (value === null) settings.delete(name)
    else if (fits(setting, value)) settings.set(name, value)
    else throw invalid(`${name} must be ${allowed(setting)}`)
  }
  return Object.fromEntries(settings)
}

function fits({ values }: Setting, value: string | number): boolean {
  if (!('from' in values)) return values.some((one) => one === value)
  return typeof value === 'number' && Number.isInteger(value) && value >= values.from && value <= values.to
}

function allowed({ values }: Setting): string {
  return 'from' in values ? `a whole number from ${values.from} to ${values.to}` : `one of ${values.join(', ')}`
}

function listed(names: string[]): string {
  return names.length === 0 ? 'none for this format' : names.join(', ')
}

function invalid(sentence: string): RegistryError {
  return new RegistryError('invalid', sentence, { code: 'setting_invalid' })
}
