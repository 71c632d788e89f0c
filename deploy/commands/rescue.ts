/** `cairn rescue`: a new primary from what the nodes keep, when the old one is gone. */
import { Command } from 'commander'
import { type RescueReport, reportPath } from '../../primary/rescue/report.js'
import { RegistryError } from '../../protocol/errors.js'
import { parseRecoveryKey } from '../../protocol/recovery/key.js'
import { claim } from '../claim.js'
import { primarySettings } from '../config/parts.js'
import { EXIT } from '../exit-code.js'
import { packageRoot } from '../root.js'
import { print, settingsFor, size, type Terminal, table } from '../terminal.js'
import { programVersion } from '../version.js'
import { textIn } from './given-file.js'
import { addSettings, several, typedSettings, wholeNumber } from './options.js'

interface Flags {
  recoveryKeyFile: string
  node: string[]
  wait: number
  restored?: boolean
  json?: boolean
}

const SHOWN = 50

/** `ended`: told the exit code where something is lost. */
export function rescueCommand(terminal: Terminal, ended: (code: number) => void): Command {
  const command = new Command('rescue')
    .description(
      'build a primary anew from what nodes keep, into an empty folder and database; or set one right that a backup was restored to',
    )
    .requiredOption('--recovery-key-file <file>', 'made by `cairn recovery create`')
    .requiredOption(
      '--node <url>',
      'clients’ address of a node that can be reached; can be given several times',
      several,
    )
    .option('--restored', 'the primary is there, from a backup that is older than what nodes know')
    .option('--wait <seconds>', 'how long nodes may take to find the primary again', wholeNumber(0, 86_400), 60)
    .option('--json', 'print JSON')
  return addSettings(command, 'primary').action(async (flags: Flags) => {
    const recovery = parseRecoveryKey(await textIn(flags.recoveryKeyFile, terminal))
    const nodes = flags.node.map(originOf)
    const settings = primarySettings((await settingsFor('primary', typedSettings({ ...flags }), terminal)).values)
    const claimed = await claim(settings.data, 'primary')
    try {
      const { runRescue } = await import('../../primary/rescue/run.js')
      const program = { root: packageRoot(), version: programVersion(), logTo: terminal.err as NodeJS.WritableStream }
      const onProgress = (sentence: string) => terminal.watched && terminal.err.write(`${sentence}\n`)
      const report = await runRescue(settings, program, {
        recovery,
        nodes,
        restored: flags.restored === true,
        waitMs: flags.wait * 1000,
        onProgress,
      })
      print(terminal, flags, report, () => reportText(report, reportPath(settings.data)))
      if (lost(report).length > 0 || report.hidden > 0) ended(EXIT.missing)
    } finally {
      await claimed.release()
    }
  })
}

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.origin
  throw new RegistryError('invalid', `--node takes the URL of a node, such as http://10.1.0.5:8081, not ${text}`, {
    code: 'usage',
  })
}

function lost({ blobs }: RescueReport) {
  return blobs.missing.filter(({ upstream }) => !upstream)
}

function reportText(report: RescueReport, file: string): string {
  const { epoch, changes, hidden, parcels, unopened, nodes, returned, blobs, unknown } = report
  const again = blobs.missing.length - lost(report).length
  const rows = lost(report).slice(0, SHOWN)
  return [
    table(
      ['NODE', 'NAME', 'CHANGES', ''],
      nodes.map(({ url, name, changes: has, error }) => [url, name, has, error ?? '']),
    ),
    `Epoch ${epoch} begins with ${changes} changes; ${parcels} sealed parcels were opened; ${returned} nodes came back.`,
    ...(hidden > 0 ? [`Of ${hidden} changes no node that was asked may see the contents; they are lost here.`] : []),
    ...(unopened.length > 0 ? [`Sealed to an older recovery key, and lost here: ${unopened.join(', ')}.`] : []),
    ...(unknown.length > 0 ? [`Not taken over, since a later version made them: ${unknown.join(', ')}.`] : []),
    `${blobs.blobs} blobs are recorded, ${blobs.fetched} came from nodes, ${lost(report).length} nobody has.`,
    ...(again > 0 ? [`${again} more are fetched from upstreams when they are asked for.`] : []),
    ...(rows.length > 0
      ? [
          table(
            ['NOBODY HAS', 'SIZE', 'DIGEST'],
            rows.map(({ at, size: bytes, digest }) => [
              at.map(({ repository, path }) => `${repository}/${path}`).join(', '),
              size(bytes),
              digest,
            ]),
          ),
        ]
      : []),
    `All of it is in ${file}. Start the primary as before: what is missing is asked of each node that comes back.`,
  ].join('\n')
}
