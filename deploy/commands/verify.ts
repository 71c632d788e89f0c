/** `cairn verify`: are these bytes the ones that the registry has a record of. A URL is fetched whole and thrown away. */
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { RegistryError } from '../../protocol/errors.js'
import { type Client, record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal } from '../terminal.js'
import { getStream } from '../transfer/get.js'
import { digestOf } from '../transfer/put.js'
import { parseTarget } from '../transfer/target.js'
import { artifactPath, connectTo } from './files.js'
import { clientCommand } from './options.js'

interface Verdict {
  digest: string
  /** Where the registry has these bytes on record. */
  places: string[]
}

export function verifyCommand(terminal: Terminal): Command {
  return clientCommand('verify', 'compare a URL, or a local file, with what the registry has a record of')
    .argument('<what>', 'URL of a file in a registry, or a local file')
    .argument('[target]', 'for a local file: repository/path to compare with; without: wherever these bytes are')
    .action(async (what: string, against: string | undefined, flags: ClientFlags) => {
      const verdict = /^https?:\/\//i.test(what)
        ? await verifyUrl(what, flags, terminal)
        : await verifyFile(resolve(terminal.folder, what), against, flags, terminal)
      const value = { verified: true, digest: verdict.digest, recorded_as: verdict.places }
      print(
        terminal,
        flags,
        value,
        () => `${what}: sha256 ${verdict.digest}, as recorded for ${verdict.places.join(', ')}`,
      )
    })
}

async function verifyUrl(what: string, flags: ClientFlags, terminal: Terminal): Promise<Verdict> {
  const target = parseTarget(what)
  const client = await connectTo(target, flags, terminal)
  const recorded = await recordedDigest(client, artifactPath(target))
  const { digest } = await getStream(client, target.urlPath, () => Promise.resolve())
  if (digest !== recorded) throw mismatch(what, digest, recorded)
  return { digest, places: [`${target.key}/${target.path}`] }
}

async function verifyFile(
  path: string,
  against: string | undefined,
  flags: ClientFlags,
  terminal: Terminal,
): Promise<Verdict> {
  const digest = await fileDigest(path)
  if (against !== undefined) {
    const target = parseTarget(against)
    const recorded = await recordedDigest(await connectTo(target, flags, terminal), artifactPath(target))
    if (digest !== recorded) throw mismatch(path, digest, recorded)
    return { digest, places: [`${target.key}/${target.path}`] }
  }
  const client = await connect(flags, terminal)
  const { items } = record(await client.json('GET', `/api/v1/search/artifacts?checksum=${digest}`))
  const places = (Array.isArray(items) ? items : [])
    .map(record)
    .map(({ repository, path: found }) => `${String(repository)}/${String(found)}`)
  if (places.length === 0)
    throw new RegistryError('missing', `${client.url} has no record of these bytes (sha256 ${digest})`)
  return { digest, places }
}

async function fileDigest(path: string): Promise<string> {
  try {
    const file = await open(path, 'r')
    return await digestOf(file).finally(() => file.close())
  } catch (cause) {
    throw new RegistryError(
      'missing',
      `${path} cannot be read (${(cause as NodeJS.ErrnoException).code ?? 'unknown reason'})`,
      { cause },
    )
  }
}

async function recordedDigest(client: Client, path: string): Promise<string> {
  return String(record(await client.json('GET', path)).digest)
}

function mismatch(what: string, digest: string, recorded: string): RegistryError {
  return new RegistryError('corrupt', `${what} has sha256 ${digest}, and ${recorded} is recorded`)
}
