/** What `up` says when everything runs: for people, and as JSON. Pure. */
import type { Child } from './child.js'
import type { Quickstart } from './quickstart.js'

export interface Welcome {
  children: Child[]
  /** Only one that was generated just now. */
  password: string | undefined
  repositories: Quickstart[]
  /** Arguments for node before a part's own. */
  program: readonly string[]
  logs: string
  seconds: number
}

export function welcomeText(welcome: Welcome): string {
  const width = Math.max(...welcome.children.map(({ part }) => part.name.length)) + 2
  const parts = welcome.children.map(
    ({ part, pid, adopted }) =>
      `  ${part.name.padEnd(width)}${part.url}   process ${pid}${adopted ? ', was running' : ''}`,
  )
  const password = welcome.password === undefined ? 'as set before' : `${welcome.password}   (shown this once)`
  const snippets = welcome.repositories.flatMap(({ key, snippet }) => [
    `  ${key}`,
    indent(snippet.trimEnd(), '    '),
    '',
  ])
  const commands = welcome.children.map(
    ({ part }) => `  ${shell([process.execPath, ...welcome.program, ...part.args])}`,
  )
  return [
    `Cairn is ready (${welcome.seconds.toFixed(1)} s).`,
    '',
    ...parts,
    '',
    '  user      admin',
    `  password  ${password}`,
    '',
    ...snippets,
    'Each part is a process of its own, and is started again by itself with:',
    ...commands,
    '',
    `Logs are in ${welcome.logs}. Ctrl-C ends everything.`,
    '',
  ].join('\n')
}

export function welcomeJson(welcome: Welcome): Record<string, unknown> {
  return {
    parts: welcome.children.map(({ part, pid, adopted }) => ({
      name: part.name,
      part: part.part,
      url: part.url,
      pid,
      adopted,
      data: part.data,
      log: part.log,
      command: [process.execPath, ...welcome.program, ...part.args],
    })),
    username: 'admin',
    password: welcome.password ?? null,
    repositories: welcome.repositories,
    seconds: welcome.seconds,
  }
}

function indent(text: string, by: string): string {
  return text
    .split('\n')
    .map((line) => (line === '' ? '' : by + line))
    .join('\n')
}

function shell(words: readonly string[]): string {
  return words.map((word) => (/^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)).join(' ')
}
