/** `cairn bench [names]`: measures, against whom the benches say. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { RegistryError } from '../../protocol/errors.js'

/** A process of its own, so that what is measured shares nothing with this one. */
export function benchCommand(): Command {
  return new Command('bench')
    .description('measure (see bench/); without names: everything')
    .argument('[arguments...]')
    .allowUnknownOption()
    .passThroughOptions()
    .helpOption(false)
    .action(async (args: string[]) => {
      const script = fileURLToPath(new URL('../../bench/main.js', import.meta.url))
      const child = spawn(process.execPath, [script, ...args], { stdio: 'inherit' })
      const [code] = await once(child, 'exit')
      if (code !== 0)
        throw new RegistryError('invalid', 'The bench did not end well', { code: code === 2 ? 'usage' : 'bench' })
    })
}
