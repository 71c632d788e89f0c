/** `main.js <generator> <options as JSON>` (`-`: on standard input): prints the generator's report as JSON. Ends with 1 and a sentence when it cannot. */
import { text } from 'node:stream/consumers'
import { loads } from './loads.js'

const [, , kind = '', given = '{}'] = process.argv
try {
  const generate = Object.entries(loads).find(([name]) => name === kind)?.[1] as
    | ((options: unknown) => Promise<unknown>)
    | undefined
  if (!generate) throw new Error(`there is no load generator ${kind}`)
  const options = given === '-' ? await text(process.stdin) : given
  process.stdout.write(JSON.stringify(await generate(JSON.parse(options))))
} catch (error) {
  process.stderr.write(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
