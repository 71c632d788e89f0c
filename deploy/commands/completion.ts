/** `cairn completion`: a script that completes commands and options in bash, zsh or fish. Made from the commands themselves. */
import { Argument, Command } from 'commander'
import type { Terminal } from '../terminal.js'

interface Entry {
  /** Words that lead here, '' at the top. */
  path: string
  words: { word: string; help: string }[]
}

const SHELLS = ['bash', 'zsh', 'fish'] as const

/** `program` is asked when the script is made, so that it has all commands by then. */
export function completionCommand(terminal: Terminal, program: () => Command): Command {
  return new Command('completion')
    .description('print a completion script: source <(cairn completion bash)')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action((shell: (typeof SHELLS)[number]) => {
      terminal.out.write(completionScript(shell, program()))
    })
}

export function completionScript(shell: (typeof SHELLS)[number], program: Command): string {
  const entries = entriesOf(program, [])
  if (shell === 'fish') return fish(entries)
  const script = bash(entries)
  return shell === 'zsh' ? `autoload -U +X bashcompinit && bashcompinit\n${script}` : script
}

function entriesOf(command: Command, path: string[]): Entry[] {
  const options = command.options.flatMap((option) =>
    option.long ? [{ word: option.long, help: option.description }] : [],
  )
  const commands = command.commands.map((child) => ({ word: child.name(), help: child.description() }))
  const below = command.commands.flatMap((child) => entriesOf(child, [...path, child.name()]))
  return [{ path: path.join(' '), words: [...commands, ...options, { word: '--help', help: 'show help' }] }, ...below]
}

/** What is typed so far, options left out, names the entry; files are offered where nothing else fits. */
function bash(entries: Entry[]): string {
  const cases = entries.map(
    ({ path, words }) => `    ${quoted(path)}) words=${quoted(words.map(({ word }) => word).join(' '))} ;;`,
  )
  return `_cairn() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" next word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) continue ;; esac
    next="\${path:+$path }$word"
    case "$next" in ${entries
      .filter(({ path }) => path !== '')
      .map(({ path }) => quoted(path))
      .join('|')}) path="$next" ;; esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _cairn cairn
`
}

function fish(entries: Entry[]): string {
  const lines = entries.flatMap(({ path, words }) => {
    const names = path === '' ? [] : path.split(' ')
    const children = words.filter(({ word }) => !word.startsWith('-')).map(({ word }) => word)
    const seen = names.map((name) => `__fish_seen_subcommand_from ${name}`)
    const unseen = children.length > 0 ? [`not __fish_seen_subcommand_from ${children.join(' ')}`] : []
    const condition = [...seen, ...unseen].join('; and ') || 'true'
    return words.map(
      ({ word, help }) =>
        `complete -c cairn -n ${quoted(condition)} ${word.startsWith('--') ? `-l ${word.slice(2)}` : `-f -a ${word}`} -d ${quoted(help)}`,
    )
  })
  return `${lines.join('\n')}\n`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", '’')}'`
}
