/**
 * `stream-ingest completion SHELL`: what a shell needs to complete verbs, options, their values and error codes, as a
 * script made of the definitions of the verbs. It names everything that is known beforehand; nothing is asked at run time.
 *
 * @module
 */
import type { Argument, Command, Option } from 'commander'
import { EXIT_CODES } from '../error.ts'
import { type CommandIo, writeText } from './command-io.ts'
import { type ListedCommand, listCommands } from './command-tree.ts'
import type { Shell } from './completion-shell.ts'
import { allErrorCodes } from './error-reference.ts'

/** Prints the script. */
export async function completionCommand(shell: Shell, program: Command, io: CommandIo): Promise<number> {
  await writeText(io.stdout, completionScript(shell, program))
  return EXIT_CODES.ok
}

/** The script for a shell, with a final newline. */
export function completionScript(shell: Shell, program: Command): string {
  const commands = listCommands(program)
  const script = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](commands)
  return `${script}\n`
}

/** Options that take a value, by their names, with the words that the value can be; none: a file, or free text. */
function valueOptions({ options }: ListedCommand): { names: string[]; choices: readonly string[] }[] {
  return options
    .filter(option => option.required || option.optional)
    .map(option => ({ names: namesOf(option), choices: option.argChoices ?? [] }))
}

function namesOf({ short, long }: Option): string[] {
  return [short, long].filter(name => name !== undefined && name !== null) as string[]
}

/** What may stand in place of the verb's argument: verbs below it, choices, codes. */
function wordsOf({ words, command }: ListedCommand): string[] {
  if (words === 'explain') return allErrorCodes()
  const ofArguments = command.registeredArguments.flatMap((argument: Argument) => argument.argChoices ?? [])
  return [...command.commands.map(sub => sub.name()), ...ofArguments]
}

/** The branches that follow the words typed so far: from a verb and the next word to the verb that both mean. */
function steps(commands: readonly ListedCommand[]): [from: string, to: string][] {
  return commands
    .filter(({ words }) => words !== '')
    .map(({ words }) => [words.includes(' ') ? words : ` ${words}`, words])
}

function bashScript(commands: readonly ListedCommand[]): string {
  const values = commands.flatMap(command =>
    valueOptions(command).map(({ names, choices }) => {
      const pattern = names.map(name => `'${command.words}:${name}'`).join('|')
      const reply =
        choices.length === 0 ? '' : ` COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$current"));`
      return `    ${pattern})${reply} return ;;`
    }),
  )
  const offers = commands.map(command => {
    const options = command.options.flatMap(namesOf)
    return `    '${command.words}') words='${wordsOf(command).join(' ')}' options='${options.join(' ')}' ;;`
  })
  return `# Completion of stream-ingest for bash:  source <(stream-ingest completion bash)
_stream_ingest() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD - 1]}" verb='' words='' options='' index
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    case "$verb \${COMP_WORDS[index]}" in
${steps(commands)
  .map(([from, to]) => `      '${from}') verb='${to}' ;;`)
  .join('\n')}
    esac
  done
  case "$verb:$previous" in
${values.join('\n')}
  esac
  case "$verb" in
${offers.join('\n')}
  esac
  if [[ "$current" == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$current"))
  else COMPREPLY=($(compgen -W "$words" -- "$current")); fi
}
complete -o default -F _stream_ingest stream-ingest`
}

function zshScript(commands: readonly ListedCommand[]): string {
  const values = commands.flatMap(command =>
    valueOptions(command).map(({ names, choices }) => {
      const pattern = names.map(name => quoted(`${command.words}:${name}`)).join('|')
      return `    ${pattern}) ${choices.length === 0 ? '_files' : `compadd -- ${choices.join(' ')}`}; return ;;`
    }),
  )
  const offers = commands.map(command => {
    const described = new Map(command.command.commands.map(sub => [sub.name(), sub.description()]))
    const words = wordsOf(command).map(word => zshEntry(word, described.get(word)))
    const options = command.options.flatMap(option =>
      namesOf(option).map(name => zshEntry(name, option.description)),
    )
    return `    ${quoted(command.words)}) entries=(${words.join(' ')}) options=(${options.join(' ')}) ;;`
  })
  return `#compdef stream-ingest
# Completion of stream-ingest for zsh:  stream-ingest completion zsh > "\${fpath[1]}/_stream-ingest", or source it
_stream_ingest() {
  local verb='' index
  local -a entries options
  for ((index = 2; index < CURRENT; index++)); do
    case "$verb \${words[index]}" in
${steps(commands)
  .map(([from, to]) => `      ${quoted(from)}) verb=${quoted(to)} ;;`)
  .join('\n')}
    esac
  done
  case "$verb:\${words[CURRENT - 1]}" in
${values.join('\n')}
  esac
  case "$verb" in
${offers.join('\n')}
  esac
  if [[ "\${words[CURRENT]}" == -* ]]; then _describe -o option options
  elif (( \${#entries} )); then _describe word entries
  else _files; fi
}
if [[ "\${funcstack[1]}" == _stream-ingest ]]; then _stream_ingest; else compdef _stream_ingest stream-ingest; fi`
}

/** \`_describe\` splits a word from its description at the first colon that has no backslash. */
function zshEntry(word: string, description: string | undefined): string {
  const escaped = word.replaceAll(':', '\\:')
  return quoted(description === undefined ? escaped : `${escaped}:${description}`)
}

function fishScript(commands: readonly ListedCommand[]): string {
  const lines = commands.flatMap(command => {
    const at = `-n ${fishQuoted(`test (__stream_ingest_verb) = "${command.words}"`)}`
    const described = new Map(command.command.commands.map(sub => [sub.name(), sub.description()]))
    const words = wordsOf(command).map(word => {
      const description = described.get(word)
      return `complete -c stream-ingest ${at} -f -a ${fishQuoted(word)}${description === undefined ? '' : ` -d ${fishQuoted(description)}`}`
    })
    const options = command.options.map(option => {
      const takesValue = option.required || option.optional
      const flags = namesOf(option).map(name =>
        name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
      )
      const value = !takesValue
        ? ''
        : option.argChoices === undefined
          ? ' -r'
          : ` -x -a ${fishQuoted(option.argChoices.join(' '))}`
      return `complete -c stream-ingest ${at} ${flags.join(' ')}${value} -d ${fishQuoted(option.description)}`
    })
    return [...words, ...options]
  })
  return `# Completion of stream-ingest for fish:  stream-ingest completion fish > ~/.config/fish/completions/stream-ingest.fish
function __stream_ingest_verb
  set -l verb ''
  for word in (commandline -opc)[2..-1]
    switch "$verb $word"
${steps(commands)
  .map(([from, to]) => `      case ${fishQuoted(from)}\n        set verb ${fishQuoted(to)}`)
  .join('\n')}
    end
  end
  echo "$verb"
end
${lines.join('\n')}`
}

/** For bash and zsh. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
}
