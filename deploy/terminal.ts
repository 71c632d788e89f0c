/** What a command has of the world around it, and how it says what it found: lines for people, JSON for programs. */
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { RegistryError } from '../protocol/errors.js'
import { Client, printable } from './client.js'
import { type Resolved, readConfigFile, resolveSettings } from './config/resolve.js'
import type { Part } from './config/table.js'
import { credentialFor, type Home } from './credentials.js'

export interface Terminal extends Home {
  out: NodeJS.WritableStream
  err: NodeJS.WritableStream
  input: NodeJS.ReadableStream
  /** Does a person watch the error stream. */
  watched: boolean
  /** Does a person type. */
  interactive: boolean
  /** Working directory. */
  folder: string
}

/** Options that every client command takes. */
export interface ClientFlags {
  json?: boolean
  url?: string
}

export async function settingsFor(
  part: Part,
  options: Record<string, string | undefined>,
  terminal: Terminal,
): Promise<Resolved> {
  const { environment, folder } = terminal
  return resolveSettings(part, { options, environment, folder, file: await readConfigFile(environment, folder) })
}

/** The registry that a command is about, with CAIRN_TOKEN or what `cairn login` remembers. */
export async function connect(flags: ClientFlags, terminal: Terminal): Promise<Client> {
  const { values } = await settingsFor('client', { url: flags.url }, terminal)
  const url = values.url[0] ?? ''
  return new Client({ url, token: values.token ?? (await credentialFor(url, terminal))?.token })
}

/** `people`: lines for a terminal, as an alternative to the JSON. */
export function print(terminal: Terminal, flags: { json?: boolean }, value: unknown, people: () => string): void {
  const text = flags.json ? JSON.stringify(value) : people()
  if (text !== '') terminal.out.write(`${text}\n`)
}

/** Columns as wide as what they hold. */
export function table(head: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => printable(String(cell ?? '-'))))
  const widths = head.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)))
  return cells
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function size(bytes: unknown): string {
  if (typeof bytes !== 'number') return '-'
  const power = Math.min(UNITS.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10))
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${UNITS[power]}`
}

/** A line that a person types; not shown while typing when `hidden`. Throws `invalid` where nobody can type. */
export async function ask(question: string, terminal: Terminal, hidden = false): Promise<string> {
  if (!terminal.interactive)
    throw new RegistryError('invalid', `${question.replace(/:?\s*$/, '')} is missing, and nobody can be asked here`, {
      code: 'usage',
    })
  let muted = false
  const output = new Writable({
    write: (chunk, _encoding, done) => {
      if (!muted) terminal.err.write(chunk)
      done()
    },
  })
  const lines = createInterface({ input: terminal.input, output, terminal: true })
  try {
    return await new Promise((resolve, reject) => {
      lines.once('close', () => reject(new RegistryError('invalid', 'Interrupted', { code: 'usage' })))
      lines.question(question, resolve)
      muted = hidden
    })
  } finally {
    lines.close()
    if (hidden) terminal.err.write('\n')
  }
}

const MAX_LINE = 4096

/** Standard input up to its end, without the newline. */
export async function readLine(terminal: Terminal): Promise<string> {
  let text = ''
  for await (const chunk of terminal.input) {
    text += String(chunk)
    if (text.length > MAX_LINE)
      throw new RegistryError('invalid', 'Standard input holds more than one line', { code: 'usage' })
  }
  return text.replace(/\r?\n$/, '')
}
