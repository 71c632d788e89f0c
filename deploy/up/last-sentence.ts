/** What a part said last about why it ended: a plain line, or the newest error among its JSON lines. */
import { printable, record } from '../client.js'

const ERROR_LEVEL = 50

export function lastSentence(log: string): string | undefined {
  for (const line of log.split('\n').reverse()) {
    const sentence = sentenceOf(line.trim())
    if (sentence !== undefined) return printable(sentence)
  }
  return undefined
}

function sentenceOf(line: string): string | undefined {
  // A stack's own lines; what it is about stands above them.
  if (line === '' || /^(at |Node\.js v|\^|node:|\})/.test(line)) return undefined
  if (!line.startsWith('{')) return line.replace(/^cairn: /, '')
  try {
    const entry = record(JSON.parse(line))
    if (typeof entry.level !== 'number' || entry.level < ERROR_LEVEL) return undefined
    return [entry.error, entry.msg].find((text) => typeof text === 'string')
  } catch {
    return undefined
  }
}
