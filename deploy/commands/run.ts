/** `cairn up`, `cairn primary` and the action of `cairn node`: the commands that run something until they are told to end. */
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { nodeSettings, primarySettings } from '../config/parts.js'
import { inPassing } from '../ephemeral.js'
import { runPart } from '../part.js'
import { packageRoot } from '../root.js'
import { settingsFor, type Terminal } from '../terminal.js'
import { programVersion } from '../version.js'
import { addSettings, typedSettings, wholeNumber } from './options.js'

const MAX_NODES = 64
const DEFAULT_NODES = 2

export function upCommand(terminal: Terminal): Command {
  const command = new Command('up')
    .description('run a primary and nodes on this machine, all joined, until Ctrl-C')
    .option('--nodes <count>', 'how many nodes', wholeNumber(0, MAX_NODES), DEFAULT_NODES)
    .option('--json', 'print JSON')
  return addSettings(command, 'up').action(async (flags: { nodes: number; json?: boolean }) => {
    const options = typedSettings({ ...flags })
    const { values } = await settingsFor('up', options, terminal)
    const [{ up }, { plan }, welcome] = await Promise.all([
      import('../up.js'),
      import('../up/plan.js'),
      import('../up/welcome.js'),
    ])
    const { environment } = terminal
    await up({
      plan: plan({ values, nodes: flags.nodes, options, environment }),
      host: values.host,
      program: [fileURLToPath(new URL('../cairn.js', import.meta.url))],
      adminPassword: values.adminPassword,
      ready: (said) =>
        terminal.out.write(flags.json ? `${JSON.stringify(welcome.welcomeJson(said))}\n` : welcome.welcomeText(said)),
      report: (sentence) => terminal.err.write(`cairn: ${sentence}\n`),
    })
  })
}

export function primaryCommand(terminal: Terminal): Command {
  const command = new Command('primary').description('run a primary')
  return addSettings(command, 'primary').action(async (flags: object) => {
    const { values } = await settingsFor('primary', typedSettings({ ...flags }), terminal)
    const settings = primarySettings(values)
    await runPart(
      'primary',
      settings.data,
      async () => {
        const { startPrimary } = await import('../../primary/main.js')
        return await startPrimary(settings, { root: packageRoot(), version: programVersion() })
      },
      ({ url, adminPassword }) => {
        if (adminPassword !== undefined)
          terminal.err.write(`The password of the user admin is ${adminPassword} (shown this once)\n`)
        if (terminal.watched) terminal.err.write(`The primary is ready at ${url}\n`)
      },
    )
  })
}

/** Makes `command` (which has subcommands as well) run a node. */
export function runsNode(command: Command, terminal: Terminal): Command {
  command.option('--ephemeral', 'write to a temporary folder only, and leave no trace; joins with a join key')
  return addSettings(command, 'node').action(async (flags: { ephemeral?: boolean }) => {
    const run = (data?: string) =>
      runNode(typedSettings({ ...flags, ...(data === undefined ? {} : { data }) }), terminal)
    await (flags.ephemeral ? inPassing(run) : run())
  })
}

async function runNode(typed: Record<string, string>, terminal: Terminal): Promise<void> {
  const { values } = await settingsFor('node', typed, terminal)
  const settings = nodeSettings(values)
  await runPart(
    'node',
    settings.data,
    async () => {
      const { startNode } = await import('../../node/main.js')
      return await startNode(settings, { version: programVersion() })
    },
    ({ url }) => {
      if (terminal.watched) terminal.err.write(`The node is ready at ${url}\n`)
    },
  )
}
