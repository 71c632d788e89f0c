/**
 * What the registry needs from a go.mod file: which module it is of, and which versions it retracts. As lax as the go command is
 * with other people's files: what it does not know is passed over, and a retraction that cannot be read is none.
 */
import { RegistryError } from '../../protocol/errors.js'
import { parseVersion } from './version.js'

export interface GoMod {
  module: string
  /** Lowest and highest of each interval; all versions between are retracted. */
  retracted: [low: string, high: string][]
}

/** Throws `invalid`. */
export function parseGoMod(bytes: Uint8Array): GoMod {
  const modules: string[] = []
  const retracted: GoMod['retracted'] = []
  for (const [verb, ...words] of statements(decode(bytes))) {
    if (verb === 'module') modules.push(words.length === 1 ? unquote(words[0] ?? '') : '')
    if (verb === 'retract') retracted.push(...interval(words.map(unquote)))
  }
  const [module] = modules
  if (module === undefined || modules.length > 1) throw invalid('has to have exactly one module line')
  if (module === '') throw invalid('has a module line that cannot be read')
  if (retracted.length > MAX_RETRACTIONS) throw invalid(`retracts more than ${MAX_RETRACTIONS} intervals`)
  return { module, retracted }
}

const MAX_RETRACTIONS = 1000
const TOKEN = /[ \t\r]+|\/\/.*|"(?:[^"\\]|\\.)*"|`[^`]*`|[()[\]{},]|(?!["`])(?:(?!\/\/)[^\s()[\]{},])+/gy

/** Verb and words of each line; lines in a block have the block's verb. What has more words before its '(' has no meaning. */
function* statements(text: string): Iterable<string[]> {
  let block: string | undefined
  for (const line of text.split('\n')) {
    const words = tokens(line)
    if (words.length === 0) continue
    if (block === undefined) {
      if (words.at(-1) === '(') block = words.length === 2 ? words[0] : ''
      else if (words.at(-1) !== ')' || words.at(-2) !== '(') yield words
    } else if (words[0] !== ')') yield [block, ...words]
    else if (words.length > 1) throw invalid('goes on behind the end of a block')
    else block = undefined
  }
  if (block !== undefined) throw invalid('ends inside a block')
}

function tokens(line: string): string[] {
  const words = line.match(TOKEN) ?? []
  if (words.join('').length !== line.length) throw invalid('has a line that cannot be read')
  const meant = words.filter((word) => !/^(?:[ \t\r]|\/\/)/.test(word))
  if (meant.some((word) => /^[^"`]*\/\*/.test(word))) throw invalid('has a comment that does not begin with //')
  return meant
}

/** 'v1.0.0' or '[v1.0.0, v1.9.9]'; what follows may mean something to a later Go. */
function interval([first, low, comma, high, end]: string[]): GoMod['retracted'] {
  if (first !== '[') return first !== undefined && parseVersion(first) ? [[first, first]] : []
  if (low === undefined || comma !== ',' || high === undefined || end !== ']') return []
  return parseVersion(low) && parseVersion(high) ? [[low, high]] : []
}

/** '' for what Go does not take. Names and versions hold nothing that needs an escape. */
function unquote(word: string): string {
  const plain = word.startsWith('"') ? word.slice(1, -1) : word
  return /["'`\\]/.test(plain) ? '' : plain
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw invalid('is not UTF-8', cause)
  }
}

function invalid(how: string, cause?: unknown): RegistryError {
  return new RegistryError('invalid', `The module's go.mod ${how}`, { code: 'invalid_go_mod', cause })
}
