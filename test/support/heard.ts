/**
 * What primaries and nodes log during a run of all tests, and the secrets that the run used: `npm test` looks for the ones in the
 * others when it ends. Without `CAIRN_TEST_HEARD`, the folder for both, nothing is kept.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.env.CAIRN_TEST_HEARD
const SECRET = /^(password|.*_password|secret|.*_secret|token|.*_token|join_key|recovery_codes|codes|value)$/
/** Shorter ones are words that anything may contain. */
const LEAST_CHARACTERS = 8

export const heard = folder === undefined ? undefined : { level: 'debug' as const, write: (text: string) => hear(text) }

/** Takes over lines of a log. */
export function hear(text: string): void {
  if (folder !== undefined) appendFileSync(join(folder, `${process.pid}.log`), text)
}

/** Remembers every secret in what is sent to the REST API, or comes from it. */
export function keepSecrets(value: unknown, isSecret = false): void {
  if (folder === undefined) return
  if (typeof value === 'string' && isSecret && value.length >= LEAST_CHARACTERS)
    appendFileSync(join(folder, `${process.pid}.secrets`), `${JSON.stringify(value)}\n`)
  if (Array.isArray(value)) for (const each of value) keepSecrets(each, isSecret)
  else if (typeof value === 'object' && value !== null)
    for (const [name, each] of Object.entries(value)) keepSecrets(each, SECRET.test(name))
}
