/** `main.js <generator> <options as JSON>`: prints the generator's report as JSON. Ends with 1 and a sentence when it cannot. */
import { loads } from './loads.js'

const [, , kind = '', options = '{}'] = process.argv
try {
  const generate = Object.entries(loads).find(([name]) => name === kind)?.[1] as
    | ((options: unknown) => Promise<unknown>)
    | undefined
  if (!generate) throw new Error(`there is no load generator ${kind}`)
  process.stdout.write(JSON.stringify(await generate(JSON.parse(options))))
} catch (error) {
  process.stderr.write(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
