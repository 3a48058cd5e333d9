/**
 * The verbs as a list: what the page of the command line and the completion of shells are made of.
 *
 * @module
 */
import type { Command, Option } from 'commander'

export interface ListedCommand {
  /** As it is typed behind the program's name: `inspect table`; empty for the program itself. */
  readonly words: string
  readonly command: Command
  /** Those of `--help` included. */
  readonly options: readonly Option[]
}

/** The program, every verb and every group of verbs, each before what is below it, in the order of `--help`. */
export function listCommands(program: Command): ListedCommand[] {
  return commandsBelow(program, '')
}

function commandsBelow(command: Command, words: string): ListedCommand[] {
  const options = command.createHelp().visibleOptions(command)
  return [
    { words, command, options },
    ...command.commands.flatMap(sub => commandsBelow(sub, `${words} ${sub.name()}`.trim())),
  ]
}
