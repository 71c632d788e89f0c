/** `cairn config`: every setting with its value and where that comes from. Secrets are shown as set or not set. */
import { Command, Option } from 'commander'
import type { Resolved } from '../config/resolve.js'
import { KEYS, type Key, type Part, SETTINGS, type Setting, variableOf } from '../config/table.js'
import { print, settingsFor, type Terminal, table } from '../terminal.js'

const MASK = '********'

export function configCommand(terminal: Terminal): Command {
  return new Command('config')
    .description('every setting with its value and source (command line > environment > file > default)')
    .addOption(
      new Option('--for <part>', 'whose defaults to show').choices(['up', 'primary', 'node', 'client']).default('up'),
    )
    .option('--json', 'print JSON')
    .action(async (flags: { for: Part; json?: boolean }) => {
      const rows = configRows(await settingsFor(flags.for, {}, terminal))
      const people = (): string =>
        table(
          ['SETTING', 'IN THE FILE', 'VALUE', 'SOURCE', 'FOR', 'MEANING'],
          rows.map((row) => [
            row.name,
            row.key,
            row.value ?? `(${row.unset})`,
            row.source,
            row.parts.join(' '),
            row.help,
          ]),
        )
      print(terminal, flags, rows, people)
    })
}

export interface ConfigRow {
  name: string
  key: Key
  /** As typed; null: unset. */
  value: string | null
  /** What happens when it is unset. */
  unset: string
  source: string
  parts: readonly Part[]
  help: string
}

export function configRows({ origins }: Resolved): ConfigRow[] {
  return KEYS.map((key) => {
    const { secret, parts, help, unset }: Setting<unknown> = SETTINGS[key]
    const { text, source } = origins[key]
    const value = text === undefined ? null : secret ? MASK : text
    return { name: variableOf(key), key, value, unset, source, parts, help }
  })
}
