/** Options that commands share, and settings as options. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { bytes } from '../config/kinds.js'
import { KEYS, optionOf, type Part, SETTINGS, type Setting, variableOf } from '../config/table.js'

/** A command that talks to a registry. */
export function clientCommand(name: string, summary: string): Command {
  return new Command(name)
    .description(summary)
    .option('--json', 'print JSON')
    .option('--url <url>', 'registry (CAIRN_URL)')
}

/** Every setting of a part as an option. Secrets are not: a command line can be seen by everyone on the machine. */
export function addSettings(command: Command, part: Part): Command {
  for (const key of KEYS) {
    const setting: Setting<unknown> = SETTINGS[key]
    if (!setting.parts.includes(part) || (setting.secret && key !== 'join')) continue
    command.addOption(
      new Option(
        `${optionOf(key)} <${placeholder(key)}>`,
        `${setting.help} (${variableOf(key)}; ${defaultOf(setting, part)})`,
      ),
    )
  }
  return command
}

/** What of a command's options are settings, as typed. */
export function typedSettings(options: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(KEYS.flatMap((key) => (typeof options[key] === 'string' ? [[key, options[key]]] : [])))
}

export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
}

/** Bytes, of something like `10GiB`. */
export function quantity(text: string): number {
  const value = bytes.parse(text, { folder: '' })
  if (value === undefined) throw new InvalidArgumentError(`It must be ${bytes.takes}.`)
  return value
}

/** For options that can be given several times. */
export function several(text: string, before: string[] | undefined): string[] {
  return [...(before ?? []), text]
}

function placeholder(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

function defaultOf(setting: Setting<unknown>, part: Part): string {
  const fallback = setting.fallback[part]
  return `default: ${fallback === undefined ? setting.unset : fallback === '' ? 'none' : fallback}`
}
