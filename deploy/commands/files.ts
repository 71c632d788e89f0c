/** `cairn put`, `get`, `ls`, `rm`. */
import { once } from 'node:events'
import { stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { RegistryError } from '../../protocol/errors.js'
import type { Client } from '../client.js'
import { type ClientFlags, connect, print, size, type Terminal, table } from '../terminal.js'
import { getFile, getStream } from '../transfer/get.js'
import { progress } from '../transfer/progress.js'
import { putFile, putStream } from '../transfer/put.js'
import { parseTarget, repositoryPath, type Target } from '../transfer/target.js'
import { clientCommand, wholeNumber } from './options.js'

const MAX_LISTED = 1_000_000

export function putCommand(terminal: Terminal): Command {
  return clientCommand('put', 'send a file; the same command goes on with one that was interrupted')
    .argument('<file>', 'a file, or - for standard input')
    .argument('<target>', 'repository/path, or repository/folder/ to keep the name')
    .action(async (file: string, text: string, flags: ClientFlags) => {
      const target = named(parseTarget(text), file)
      const client = await connectTo(target, flags, terminal)
      const total = file === '-' ? undefined : (await stat(resolve(terminal.folder, file)).catch(() => undefined))?.size
      const shown = progress(basename(target.path), total, terminal)
      try {
        const sent =
          file === '-'
            ? await putStream(client, target.urlPath, stdin(terminal), shown.at)
            : await putFile(client, target.urlPath, resolve(terminal.folder, file), { at: shown.at })
        shown.end()
        const { digest, created, resumedAt } = sent
        const value = { url: `${client.url}${target.urlPath}`, size: sent.size, digest, created, resumed_at: resumedAt }
        print(
          terminal,
          flags,
          value,
          () => `${created ? 'Stored' : 'Already there:'} ${value.url} (${size(sent.size)}, sha256 ${digest})`,
        )
      } finally {
        shown.end()
      }
    })
}

export function getCommand(terminal: Terminal): Command {
  return clientCommand('get', 'fetch a file and verify its digest; goes on with one that was interrupted')
    .argument('<target>', 'repository/path, or a URL')
    .option('-o, --output <file>', 'where to, - for standard output; default: the name of the file')
    .action(async (text: string, flags: ClientFlags & { output?: string }) => {
      const target = parseTarget(text)
      const name = basename(target.path)
      if (name === '') throw new RegistryError('invalid', `${text} names no file`, { code: 'usage' })
      const client = await connectTo(target, flags, terminal)
      if (flags.output === '-') {
        await getStream(client, target.urlPath, (chunk) => written(terminal.out, chunk))
        return
      }
      const given = resolve(terminal.folder, flags.output ?? name)
      const folder = (await stat(given).catch(() => undefined))?.isDirectory() === true
      const destination = folder ? join(given, name) : given
      let shown = progress(name, undefined, terminal)
      let known: number | undefined
      const at = (done: number, total: number | undefined): void => {
        if (total !== known) shown = progress(name, total, terminal)
        known = total
        shown.at(done)
      }
      const fetched = await getFile(client, target.urlPath, destination, { at }).finally(() => shown.end())
      const { digest, verified, resumedAt, source } = fetched
      const value = {
        file: destination,
        size: fetched.size,
        digest,
        verified,
        resumed_at: resumedAt,
        source: source ?? null,
      }
      print(
        terminal,
        flags,
        value,
        () =>
          `${destination} (${size(fetched.size)}, sha256 ${digest}${verified ? '' : ', which the registry does not state'})`,
      )
    })
}

export function lsCommand(terminal: Terminal): Command {
  return clientCommand('ls', 'repositories, or the files of one')
    .argument('[target]', 'repository, or repository/prefix')
    .option('--limit <number>', 'at most so many', wholeNumber(1, MAX_LISTED))
    .action(async (text: string | undefined, flags: ClientFlags & { limit?: number }) => {
      const target = text === undefined ? undefined : parseTarget(text)
      const client = await connectTo(target, flags, terminal)
      if (!target) {
        const found = await client.all('/api/v1/repositories?limit=1000', flags.limit)
        print(terminal, flags, found, () =>
          table(
            ['KEY', 'FORMAT', 'TYPE'],
            found.map(({ key, format, repo_type }) => [key, format, repo_type]),
          ),
        )
        return
      }
      const prefix = target.path === '' ? '' : `&prefix=${encodeURIComponent(target.path)}`
      const found = await client.all(`/api/v1/repositories/${keyOf(target)}/artifacts?limit=1000${prefix}`, flags.limit)
      print(terminal, flags, found, () =>
        table(
          ['SIZE', 'PUBLISHED', 'PATH'],
          found.map((file) => [size(file.size), file.published_at, file.path]),
        ),
      )
    })
}

export function rmCommand(terminal: Terminal): Command {
  return clientCommand('rm', 'remove a file (with the version that it belongs to); its path is never given other bytes')
    .argument('<target>', 'repository/path, or a URL')
    .action(async (text: string, flags: ClientFlags) => {
      const target = parseTarget(text)
      const client = await connectTo(target, flags, terminal)
      await client.json('DELETE', artifactPath(target))
      print(
        terminal,
        flags,
        { repository: target.key, path: target.path, removed: true },
        () => `Removed ${target.key}/${target.path}`,
      )
    })
}

/** Path of the REST resource that says what is known about a file. */
export function artifactPath(target: Target): string {
  return `/api/v1/repositories/${keyOf(target)}/artifacts/${target.path.split('/').map(encodeURIComponent).join('/')}`
}

/** A URL names its registry itself; credentials go there only if they were made for it. */
export async function connectTo(target: Target | undefined, flags: ClientFlags, terminal: Terminal): Promise<Client> {
  return await connect(target?.origin === undefined ? flags : { ...flags, url: target.origin }, terminal)
}

function keyOf({ key }: Target): string {
  if (key === undefined)
    throw new RegistryError('invalid', 'That URL does not name a file of a repository', { code: 'usage' })
  return encodeURIComponent(key)
}

function named(target: Target, file: string): Target {
  if (target.path !== '' && !target.path.endsWith('/')) return target
  if (target.key === undefined || target.origin !== undefined)
    throw new RegistryError('invalid', 'The URL must name the file', { code: 'usage' })
  if (file === '-')
    throw new RegistryError('invalid', 'What comes from standard input needs a name: repository/path', {
      code: 'usage',
    })
  const path = `${target.path}${basename(file)}`
  return { ...target, path, urlPath: repositoryPath(target.key, path) }
}

async function* stdin(terminal: Terminal): AsyncIterable<Uint8Array> {
  for await (const chunk of terminal.input) yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk
}

async function written(out: NodeJS.WritableStream, chunk: Uint8Array): Promise<void> {
  if (!out.write(chunk)) await once(out, 'drain')
}
