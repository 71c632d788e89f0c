/**
 * `main.js [name …] [--quick] [--full] [--json FILE]`: measures, prints a table and the raw figures. Ends with 1 when a bench
 * could not run, with 2 when it was asked for something that does not exist; a missed number is a result like others.
 */
import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { verdict } from './bench.js'
import { benches } from './benches.js'
import { describe, machine } from './machine.js'
import { details, type Reported, table } from './report.js'
import { runBenches } from './run.js'

const HELP = `usage: npm run bench -- [name …] [--quick] [--full] [--json FILE]

${benches.map(({ name, title }) => `  ${name.padEnd(14)}${title}`).join('\n')}
  all         every one of them (the default)
`

process.exitCode = await main(process.argv.slice(2))

async function main(argv: string[]): Promise<number> {
  const asked = parse(argv)
  if (typeof asked === 'string') return usage(asked)
  const { quick, full, json, chosen } = asked
  const interrupted = new AbortController()
  process.once('SIGINT', () => interrupted.abort())
  process.once('SIGTERM', () => interrupted.abort())
  const say = (sentence: string) => process.stderr.write(`${sentence}\n`)
  const found = machine()
  process.stdout.write(`${describe(found)}\n\n`)
  const results = await runBenches(chosen, { quick, full, say, signal: interrupted.signal, onResult: print })
  process.stdout.write(`${table(results)}\n`)
  if (json !== undefined) await writeFile(json, report({ machine: found, quick, full, results }))
  return results.some(({ failed }) => failed !== undefined) ? 1 : 0
}

function print({ bench, rows, seconds, failed }: Reported): void {
  const text = failed === undefined ? rows.map(details).join('\n') : `failed: ${failed}`
  process.stdout.write(`${bench} (${seconds.toFixed(0)} s)\n${text}\n\n`)
}

function report(content: { results: Reported[] } & Record<string, unknown>): string {
  const results = content.results.map((result) => ({
    ...result,
    rows: result.rows.map((row) => ({ ...row, verdict: verdict(row) })),
  }))
  return `${JSON.stringify({ ...content, at: new Date().toISOString(), results }, undefined, 2)}\n`
}

function parse(argv: string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        full: { type: 'boolean', default: false },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) return ''
    const names = positionals.includes('all') ? [] : positionals
    const unknown = names.find((name) => !benches.some((bench) => bench.name === name))
    if (unknown !== undefined) return `There is no bench ${unknown}.`
    const chosen = names.length === 0 ? benches : benches.filter(({ name }) => names.includes(name))
    return { ...values, chosen }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function usage(complaint: string): number {
  if (complaint === '') {
    process.stdout.write(HELP)
    return 0
  }
  process.stderr.write(`${complaint}\n\n${HELP}`)
  return 2
}
