/** `leaks.js FOLDER`: ends with 1 when a secret that the tests used is in what primaries and nodes logged meanwhile. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isTokenText } from '../../protocol/access/token.js'

const [folder = ''] = process.argv.slice(2)
const read = (ending: string) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
const secrets = new Set(
  read('.secrets').flatMap((text) =>
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as string),
  ),
)
// Those of people; tokens are known by their form, whoever made them.
const spoken = [...secrets].filter((secret) => !isTokenText(secret))
const logs = read('.log')
const leaks = logs.flatMap((log) => [...leaksIn(log)])
const mebibytes = logs.reduce((sum, log) => sum + log.length, 0) / 1024 ** 2
process.stdout.write(
  `${secrets.size} secrets were used; ${leaks.length} lines of ${mebibytes.toFixed(1)} MiB of logs hold one\n`,
)
for (const line of leaks.slice(0, 20)) process.stdout.write(`  ${line.slice(0, 400)}\n`)
process.exitCode = leaks.length > 0 || logs.length === 0 ? 1 : 0

/** With what leaked left out. */
function* leaksIn(log: string): Generator<string> {
  const found = [
    ...spoken.filter((secret) => log.includes(secret)),
    ...(log.match(/cairn_[A-Za-z0-9]{49}/g) ?? []).filter(isTokenText),
    ...(log.match(/-----BEGIN [A-Z ]*PRIVATE KEY-----|eyJ[\w-]{20,}\.[\w-]{20,}\.[\w-]{20,}/g) ?? []),
  ]
  for (const secret of new Set(found))
    for (const line of log.split('\n')) if (line.includes(secret)) yield line.replaceAll(secret, '***')
}
