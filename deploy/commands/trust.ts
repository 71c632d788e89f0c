/** `cairn trust …`: which workloads of CI systems and clusters speak for which account. */
import { Command } from 'commander'
import { record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal, table } from '../terminal.js'
import { jsonIn } from './given-file.js'
import { clientCommand } from './options.js'

const API = '/api/v1/trust-rules'

export function trustCommand(terminal: Terminal): Command {
  return new Command('trust')
    .description('rules for CI jobs and other workloads that bring a token of their own')
    .addCommand(
      clientCommand('list', 'all rules, in the order in which they are tried').action(async (flags: ClientFlags) => {
        const { items } = record(await (await connect(flags, terminal)).json('GET', API))
        const found = Array.isArray(items) ? items.map(record) : []
        const row = ({ key, issuer, account, scopes, claims }: Record<string, unknown>) => [
          key,
          issuer,
          account,
          Array.isArray(scopes) ? scopes.join(' ') : '',
          JSON.stringify(claims),
        ]
        print(terminal, flags, found, () => table(['KEY', 'ISSUER', 'ACCOUNT', 'SCOPES', 'CLAIMS'], found.map(row)))
      }),
    )
    .addCommand(
      clientCommand('set', 'make a rule, or replace it')
        .argument('<key>')
        .requiredOption('--rule <file>', 'JSON')
        .action(async (key: string, flags: ClientFlags & { rule: string }) => {
          const rule = await jsonIn(flags.rule, terminal)
          await (await connect(flags, terminal)).json('PUT', `${API}/${encodeURIComponent(key)}`, rule)
          print(terminal, flags, { key }, () => `Set ${key}`)
        }),
    )
    .addCommand(
      clientCommand('remove', 'remove a rule')
        .argument('<key>')
        .action(async (key: string, flags: ClientFlags) => {
          await (await connect(flags, terminal)).json('DELETE', `${API}/${encodeURIComponent(key)}`)
          print(terminal, flags, { key, removed: true }, () => `Removed ${key}`)
        }),
    )
}
