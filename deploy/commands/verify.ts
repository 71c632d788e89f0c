/**
 * `cairn verify`: are these bytes the ones that the registry has a record of, and does its signed log prove it. A URL is fetched
 * whole and thrown away; a file with a saved proof needs no registry.
 */
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { RegistryError } from '../../protocol/errors.js'
import type { Proved } from '../../protocol/log/proof.js'
import { type Client, record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal } from '../terminal.js'
import { getStream } from '../transfer/get.js'
import { digestOf } from '../transfer/put.js'
import { parseTarget } from '../transfer/target.js'
import { artifactPath, connectTo } from './files.js'
import { clientCommand } from './options.js'
import { type ProofFlags, prove, provedText, proveSaved } from './proof.js'
import { verifyLog } from './verify-log.js'

interface Verdict {
  digest: string
  /** Where the registry has these bytes on record. */
  places: string[]
  proved: Proved | undefined
}

type VerifyFlags = ClientFlags & ProofFlags & { log?: string }

export function verifyCommand(terminal: Terminal): Command {
  return clientCommand('verify', 'compare a URL, or a local file, with what the registry has a record of, and prove it')
    .argument('[what]', 'URL of a file in a registry, or a local file')
    .argument('[target]', 'for a local file: repository/path to compare with; without: wherever these bytes are')
    .option('--log-key <key>', 'whose log to believe (GET /api/v1/log tells it); default: what the registry says now')
    .option('--save-proof <file>', 'keep the proof, for checking without a network')
    .option('--proof <file>', 'check a local file by a proof that was kept')
    .option('--log <file>', 'check that the log goes on from the checkpoint in this file, and keep the newest there')
    .action(async (what: string | undefined, against: string | undefined, flags: VerifyFlags) => {
      if (flags.log !== undefined) await verifyLog(flags.log, flags, terminal)
      if (what === undefined) {
        if (flags.log !== undefined) return
        throw new RegistryError('invalid', 'Say what to verify: a URL, a file, or --log', { code: 'usage' })
      }
      const { digest, places, proved } = await verdictOn(what, against, flags, terminal)
      const value = {
        verified: true,
        digest,
        recorded_as: places,
        proved: proved ? { at: proved.at, by: proved.by, checkpoint: checkpointJson(proved) } : null,
      }
      print(terminal, flags, value, () =>
        [
          `${what}: sha256 ${digest}, as recorded for ${places.join(', ')}`,
          proved ? provedText(proved) : 'The registry gave no proof of it from its log',
        ].join('\n'),
      )
    })
}

function verdictOn(
  what: string,
  against: string | undefined,
  flags: VerifyFlags,
  terminal: Terminal,
): Promise<Verdict> {
  if (/^https?:\/\//i.test(what)) return verifyUrl(what, flags, terminal)
  const path = resolve(terminal.folder, what)
  return flags.proof === undefined ? verifyFile(path, against, flags, terminal) : verifySaved(path, flags, terminal)
}

async function verifyUrl(what: string, flags: VerifyFlags, terminal: Terminal): Promise<Verdict> {
  const target = parseTarget(what)
  const client = await connectTo(target, flags, terminal)
  const recorded = await recordedDigest(client, artifactPath(target))
  const { digest } = await getStream(client, target.urlPath, () => Promise.resolve())
  if (digest !== recorded) throw mismatch(what, digest, recorded)
  return at(client, { key: target.key ?? '', path: target.path, digest }, flags, terminal)
}

async function verifyFile(
  path: string,
  against: string | undefined,
  flags: VerifyFlags,
  terminal: Terminal,
): Promise<Verdict> {
  const digest = await fileDigest(path)
  if (against !== undefined) {
    const target = parseTarget(against)
    const client = await connectTo(target, flags, terminal)
    const recorded = await recordedDigest(client, artifactPath(target))
    if (digest !== recorded) throw mismatch(path, digest, recorded)
    return at(client, { key: target.key ?? '', path: target.path, digest }, flags, terminal)
  }
  const client = await connect(flags, terminal)
  const { items } = record(await client.json('GET', `/api/v1/search/artifacts?checksum=${digest}`))
  const found = (Array.isArray(items) ? items : []).map(record)
  const [first] = found
  if (!first) throw new RegistryError('missing', `${client.url} has no record of these bytes (sha256 ${digest})`)
  const verdict = await at(client, { key: String(first.repository), path: String(first.path), digest }, flags, terminal)
  return { ...verdict, places: found.map((one) => `${String(one.repository)}/${String(one.path)}`) }
}

async function verifySaved(path: string, flags: VerifyFlags, terminal: Terminal): Promise<Verdict> {
  const digest = await fileDigest(path)
  const proved = await proveSaved(digest, flags, terminal)
  return { digest, places: [`${proved.repository}/${proved.path}`], proved }
}

async function at(
  client: Client,
  place: { key: string; path: string; digest: string },
  flags: VerifyFlags,
  terminal: Terminal,
): Promise<Verdict> {
  const proved = await prove(client, place, flags, terminal)
  return { digest: place.digest, places: [`${place.key}/${place.path}`], proved }
}

function checkpointJson({ checkpoint }: Proved): { number: number; epoch: number; time: string } {
  const { number, epoch, time } = checkpoint
  return { number, epoch, time }
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
