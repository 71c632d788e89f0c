/** `cairn recovery …`: the key with which the operator gets the fleet back when the primary is gone. It is made here, and never sent. */
import { rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Command } from 'commander'
import { RegistryError } from '../../protocol/errors.js'
import { parseVerifierKey } from '../../protocol/log/checkpoint.js'
import { endorse, newRecoveryKey, parseRecoveryKey, publicHalves } from '../../protocol/recovery/key.js'
import { record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal } from '../terminal.js'
import { textIn } from './given-file.js'
import { clientCommand } from './options.js'

const API = '/api/v1/recovery-key'

export function recoveryCommand(terminal: Terminal): Command {
  return new Command('recovery')
    .description('the key that gets the fleet back when the primary is gone (see: cairn rescue)')
    .addCommand(
      clientCommand('create', 'make the recovery key; it is shown or written this once')
        .option('--out <file>', 'write it to a new file instead of showing it')
        .option('--old-key-file <file>', 'the key that it takes the place of')
        .action((flags: ClientFlags & CreateFlags) => create(flags, terminal)),
    )
    .addCommand(
      clientCommand('status', 'is there one, and what is sealed to it').action(async (flags: ClientFlags) => {
        const found = record(await (await connect(flags, terminal)).json('GET', API))
        print(
          terminal,
          flags,
          found,
          () => `Made ${found.created_at}; ${found.sealed} parcels are sealed to it, the newest ${found.sealed_at}`,
        )
      }),
    )
}

interface CreateFlags {
  out?: string
  oldKeyFile?: string
}

async function create(flags: ClientFlags & CreateFlags, terminal: Terminal): Promise<void> {
  const client = await connect(flags, terminal)
  const before = flags.oldKeyFile === undefined ? undefined : parseRecoveryKey(await textIn(flags.oldKeyFile, terminal))
  const { publicKey } = parseVerifierKey(String(record(await client.json('GET', '/api/v1/log')).key))
  const text = newRecoveryKey(publicKey)
  const halves = publicHalves(parseRecoveryKey(text))
  const path = flags.out === undefined ? undefined : resolve(terminal.folder, flags.out)
  // Before it counts, so that no key counts that nobody has.
  if (path !== undefined) await writeNew(path, `${text}\n`)
  try {
    await client.json('PUT', API, { ...halves, ...(before ? { endorsement: endorse(halves, before) } : {}) })
  } catch (error) {
    if (path !== undefined && error instanceof RegistryError && error.kind !== 'unavailable') await rm(path)
    throw error
  }
  const where = flags.out ?? null
  print(terminal, flags, { ...halves, file: where, key: where === null ? text : null }, () =>
    where === null
      ? `${text}\nKeep it where the registry is not; it is not shown again.`
      : `The recovery key is in ${where}: keep it where the registry is not.`,
  )
}

async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: 'wx', mode: 0o600, flush: true })
  } catch (cause) {
    throw new RegistryError('invalid', `${path} exists or cannot be written; name a new file`, { cause, code: 'usage' })
  }
}
