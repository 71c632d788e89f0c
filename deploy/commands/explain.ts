/** `cairn explain`: why one gets a package from a repository, or does not, in sentences. */
import type { Command } from 'commander'
import { printable, record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal } from '../terminal.js'
import { clientCommand } from './options.js'

export function explainCommand(terminal: Terminal): Command {
  return clientCommand('explain', 'why you get a package from a repository, or do not')
    .argument('<key>', 'of a repository')
    .argument('<package>', 'a name, or name@version')
    .action(async (key: string, asked: string, flags: ClientFlags) => {
      const query = queryOf(asked)
      const path = `/api/v1/repositories/${encodeURIComponent(key)}/explain?${query}`
      const found = record(await (await connect(flags, terminal)).json('GET', path))
      print(terminal, flags, found, () => sentences(found).join('\n'))
    })
}

/** A scope's own '@' comes first. */
function queryOf(asked: string): URLSearchParams {
  const at = asked.indexOf('@', 1)
  return new URLSearchParams(
    at < 0 ? { package: asked } : { package: asked.slice(0, at), version: asked.slice(at + 1) },
  )
}

function sentences(found: Record<string, unknown>): string[] {
  const members = Array.isArray(found.members) ? found.members.map(record) : []
  return [
    `${found.allowed === true ? 'Yes' : 'No'}: ${said(found.reason)}.`,
    ...members.map(
      (member) =>
        `  ${said(member.key)} (${said(member.repo_type)}): ${[said(member.reason), ...more(member)].join('; ')}.`,
    ),
  ]
}

function more({ age_seconds, stale, files, files_held }: Record<string, unknown>): string[] {
  return [
    ...(typeof age_seconds === 'number' ? [`its upstream said so ${ago(age_seconds)}`] : []),
    ...(stale === true ? ['its upstream could not be asked again'] : []),
    ...(typeof files === 'number' && files > 0 ? [`${said(files_held)} of ${files} files held here`] : []),
  ]
}

function ago(seconds: number): string {
  if (seconds < 120) return `${seconds} seconds ago`
  return seconds < 7200 ? `${Math.floor(seconds / 60)} minutes ago` : `${Math.floor(seconds / 3600)} hours ago`
}

/** Without the full stop that some reasons end with. */
function said(value: unknown): string {
  return printable(String(value)).replace(/\.$/, '')
}
