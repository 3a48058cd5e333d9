/**
 * What `--help` says beyond the options: the verbs in two groups, and examples of each.
 *
 * @module
 */
import type { Command } from 'commander'

/** What somebody new needs, in this order; the other verbs stand under `More`. */
const FIRST_VERBS: ReadonlySet<string> = new Set(['demo', 'init', 'validate', 'doctor', 'run', 'status'])

type Examples = readonly (readonly [words: string, meaning: string])[]

/** By the words of the command. Each of them is a command line that is understood as it stands. */
export const EXAMPLES: Readonly<Record<string, Examples>> = {
  demo: [
    ['demo', 'needs no Kafka and no AWS'],
    ['demo --rows 1000000 --dir ./lake', 'more of it, elsewhere'],
  ],
  init: [
    ['init', 'a configuration here'],
    ['init pipelines --template s3', 'in a folder, for tables on S3'],
  ],
  validate: [
    ['validate', 'INGEST_CONFIG, else ./stream-ingest.yaml'],
    ['validate a.yaml b.yaml --deny-warnings', 'in a build'],
    ['validate pipelines docs --format github', 'folders and Markdown too; annotations of a pull request'],
    ['validate --show-defaults', 'every value that holds, and where it comes from'],
  ],
  test: [
    ['test', 'do the records of `tests:` become the rows that they are to become'],
    ['test orders.yaml --filter refund', 'some of them'],
    ['test orders.yaml --update', 'what came is right: write it into the file'],
  ],
  doctor: [['doctor stream-ingest.yaml', 'each fault with its fix']],
  run: [
    ['run', 'INGEST_CONFIG, else ./stream-ingest.yaml; until Ctrl-C'],
    ['run orders.yaml --until-latest', 'what is there now, then end: for a schedule'],
    ['run orders.yaml --dry-run --for 30s', 'read and decode, write nothing'],
    ['run orders.yaml --log json', 'one JSON line a commit'],
  ],
  status: [
    ['status', 'how far behind, and since when'],
    ['status --stale-after 15m', 'exit 1 where a table is late: for a monitor'],
    ['status --watch 5s', 'again and again'],
  ],
  tap: [
    ['tap', 'the last ten messages of each partition, as rows'],
    ['tap --last 1000 --bad', 'of the last thousand, what does not fit, and why'],
  ],
  'offsets show': [['offsets show', 'those of the table beside those of Kafka']],
  'offsets set': [
    ['offsets set --to 88120 --partition 3 --dry-run', 'what would be done'],
    ['offsets set --to 2026-11-22T14:00:00Z --yes', 'read again from this time on'],
  ],
  'offsets reset': [['offsets reset --to earliest --yes', 'read everything again']],
  'inspect table': [
    ['inspect table ./lake/events', 'version, files, size, offsets'],
    ['inspect table s3://lake/events --history --limit 20', 'what was done to it'],
    ['inspect table ./lake/events --action 12', 'one commit as it stands in the log'],
  ],
  'inspect topic': [['inspect topic', 'partitions and offsets of the configured topic']],
  read: [
    ['read ./lake/events --limit 10', 'a few rows'],
    ['read s3://lake/events --columns id,amount --format csv', 'all rows of two columns'],
    ['read ./lake/events --at 2026-11-22T14:00:00Z', 'as it was then'],
  ],
  explain: [
    ['explain KAFKA_OFFSET_OUT_OF_RANGE', 'what it means, and what to do'],
    ['explain', 'every code'],
  ],
  schema: [['schema', 'for an editor']],
  completion: [['completion bash', 'for `source <(…)` in ~/.bashrc']],
  check: [
    ['check ./lake/events', 'log, checkpoints, checksums, files'],
    ['check s3://lake/events --deep', 'and every row'],
  ],
  optimize: [
    ['optimize ./lake/events --dry-run', 'what would be done'],
    ['optimize s3://lake/events --target-size 256MiB', 'in larger files than usual'],
  ],
  vacuum: [
    ['vacuum ./lake/events --dry-run', 'what would go'],
    ['vacuum s3://lake/events --retention 30d', 'keep what was removed for longer'],
  ],
  checkpoint: [['checkpoint ./lake/events', 'readers need no commit before it']],
  'quarantine list': [['quarantine list', 'bad records, and what is wrong with them']],
  'quarantine replay': [['quarantine replay --dry-run', 'what would fit now']],
}

/** Arranges the verbs, and puts the examples under the options of each. */
export function addHelp(program: Command): void {
  for (const command of program.commands) {
    command.helpGroup(FIRST_VERBS.has(command.name()) ? 'Commands:' : 'More:')
    addExamples(command, command.name())
  }
}

function addExamples(command: Command, words: string): void {
  for (const sub of command.commands) addExamples(sub, `${words} ${sub.name()}`)
  const examples = EXAMPLES[words]
  if (examples !== undefined) command.addHelpText('after', formatExamples(examples))
}

function formatExamples(examples: Examples): string {
  const width = Math.max(...examples.map(([words]) => words.length))
  const lines = examples.map(([words, meaning]) => `  stream-ingest ${words.padEnd(width)}   ${meaning}`)
  return `\nExamples:\n${lines.join('\n')}`
}
