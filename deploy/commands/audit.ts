/** `cairn audit`: the trail as a file, and the check of its chain, which needs no registry. */
import { createReadStream, createWriteStream } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Command } from 'commander'
import { ChainCheck, exportedShape } from '../../primary/accounts/chain.js'
import { RegistryError } from '../../protocol/errors.js'
import { bodyBytes, type Client, record } from '../client.js'
import { type ClientFlags, connect, print, type Terminal } from '../terminal.js'
import { clientCommand, wholeNumber } from './options.js'

const EXPORT = '/api/v1/admin/audit/export'

export function auditCommand(terminal: Terminal): Command {
  return new Command('audit')
    .description('the audit trail')
    .addCommand(
      clientCommand('export', 'the trail as JSON lines, oldest first')
        .argument('[file]', 'where to; without: standard output')
        .option('--after <id>', 'only rows newer than this one', wholeNumber(0, Number.MAX_SAFE_INTEGER), 0)
        .action(async (file: string | undefined, flags: ClientFlags & { after: number }) => {
          const lines = Readable.from(exported(await connect(flags, terminal), flags.after))
          if (file === undefined) for await (const chunk of lines) terminal.out.write(chunk)
          else await pipeline(lines, createWriteStream(resolve(terminal.folder, file), { mode: 0o600 }))
        }),
    )
    .addCommand(
      clientCommand('verify', 'check that no row was changed, taken out or put in')
        .argument('[file]', 'an export; without: the trail of the registry')
        .option('--head <hash>', 'a hash that was noted before, which must be in the trail')
        .action(async (file: string | undefined, flags: ClientFlags & { head?: string }) => {
          const { check, head } =
            file === undefined ? await online(flags, terminal) : await offline(file, flags, terminal)
          const { rows, unchained, from, hash } = check
          print(terminal, flags, { rows, unchained, from: from ?? null, hash, head: head ?? null }, () => {
            const begins = from === undefined ? '' : ` from row ${from} on`
            const older = unchained === 0 ? '' : `, after ${unchained} from before there was a chain`
            return `${rows} rows${begins} are as they were written${older}; the chain ends in ${hash}`
          })
        }),
    )
}

/** What the registry says that its chain ends in must be reached. */
async function online(flags: ClientFlags & { head?: string }, terminal: Terminal) {
  const client = await connect(flags, terminal)
  const head = String(record(await client.json('GET', '/api/v1/admin/audit/head')).hash)
  const check = await checked(exported(client, 0), [head, ...(flags.head === undefined ? [] : [flags.head])])
  return { check, head }
}

async function offline(file: string, { head }: { head?: string }, { folder }: Terminal) {
  const stream = createReadStream(resolve(folder, file))
  return { check: await checked(stream, head === undefined ? [] : [head]), head }
}

async function checked(chunks: AsyncIterable<Uint8Array>, heads: readonly string[]): Promise<ChainCheck> {
  const check = new ChainCheck()
  const missing = new Set(heads.map((head) => head.toLowerCase()))
  missing.delete(check.hash)
  let number = 0
  for await (const line of createInterface({ input: Readable.from(chunks), crlfDelay: Number.POSITIVE_INFINITY })) {
    number++
    check.push(rowOf(line, number))
    missing.delete(check.hash)
  }
  const [lost] = missing
  if (lost !== undefined)
    throw new RegistryError('corrupt', `No row has the hash ${lost}: the trail was cut, or written anew`, {
      code: 'audit_broken',
    })
  return check
}

function rowOf(line: string, number: number) {
  try {
    return exportedShape.parse(JSON.parse(line))
  } catch (cause) {
    throw new RegistryError('corrupt', `Line ${number} is no row of an audit trail`, { cause, code: 'audit_broken' })
  }
}

async function* exported(client: Client, after: number): AsyncIterable<Uint8Array> {
  yield* bodyBytes(await client.raw('GET', `${EXPORT}?after=${after}`))
}
