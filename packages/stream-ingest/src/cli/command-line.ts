/**
 * The verbs and their options. Each verb lives in a file of its own; this one only reads the words.
 *
 * @module
 */
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { ConfigError, EXIT_CODES, StreamIngestError } from '../error.ts'
import type { ProcessorOptions } from '../pipeline/stream-ingest-processor.ts'
import { killingStore, parseKillPlan } from '../testing/kill-point.ts'
import type { CommandIo } from './command-io.ts'
import { errorDocument, formatError } from './error-report.ts'
import { formatJsonDocument } from './json-document.ts'
import { VERSION } from './version.ts'

/**
 * Runs one command.
 *
 * @param args without the program's name
 * @returns the exit code; never throws
 */
export async function runCommandLine(args: readonly string[], io: CommandIo): Promise<number> {
  let exitCode: number = EXIT_CODES.ok
  const program = createProgram(io, code => {
    exitCode = code
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return EXIT_CODES.ok
    const error = thrown instanceof CommanderError ? usageError(thrown) : StreamIngestError.from(thrown)
    if (args.includes('--json')) io.stdout.write(formatJsonDocument(errorDocument(error)))
    // Without a verb the help was printed, which says more.
    if (thrown instanceof CommanderError && thrown.code === 'commander.help') return error.exitCode
    io.stderr.write(formatError(error, args.includes('--verbose') || args.includes('-v')))
    return error.exitCode
  }
}

/** What the parser of the words says, as an error like every other. */
function usageError({ code, message }: CommanderError): ConfigError {
  if (code === 'commander.help') return new ConfigError('CONFIG_USAGE', 'no command is named')
  const [first = '', ...rest] = message.replace(/^error: /, '').split('\n')
  const suggestion = /\(Did you mean (.+?)\?\)/.exec(rest.join('\n'))?.[1]
  return new ConfigError('CONFIG_USAGE', first.replaceAll("'", '`').replace(/\.$/, ''), {
    ...(suggestion === undefined ? {} : { hint: `did you mean \`${suggestion}\`?` }),
  })
}

function createProgram(io: CommandIo, setExitCode: (code: number) => void): Command {
  const program = new Command('stream-ingest')
    .description('Kafka topics into Delta Lake tables, exactly once, from one YAML file.')
    .version(VERSION, '-V, --version')
    // A verb's own --version is a table's, not the program's.
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: text => void io.stdout.write(text),
      writeErr: text => void io.stderr.write(text),
      // Errors are reported in one place, in one style.
      outputError: () => {},
    })
    .showSuggestionAfterError()
    .addHelpText(
      'after',
      '\nFirst steps:\n  stream-ingest demo                 a table from generated events; needs no Kafka and no AWS\n  stream-ingest validate FILE        check a configuration\n  stream-ingest run FILE             ingest\n  stream-ingest read ./lake/events   look at the rows',
    )
  addDemo(program, io, setExitCode)
  addValidate(program, io, setExitCode)
  addRun(program, io, setExitCode)
  addInspect(program, io, setExitCode)
  addRead(program, io, setExitCode)
  addExplain(program, io, setExitCode)
  addCheck(program, io, setExitCode)
  addOptimize(program, io, setExitCode)
  addVacuum(program, io, setExitCode)
  addCheckpoint(program, io, setExitCode)
  addQuarantine(program, io, setExitCode)
  return program
}

function addDemo(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  program
    .command('demo')
    .description(
      'generate events, ingest them, crash the writer once and prove that every message is there once',
    )
    .option('--rows <count>', 'messages to generate', parseCount, 100_000)
    .option('--dir <folder>', 'where the table goes', './demo-lake')
    .option('--kafka <host:port>', 'use this broker in place of the embedded one')
    .option('--s3 <endpoint>', 'write to this S3 endpoint; credentials from the AWS environment')
    .option('--bucket <name>', 'with --s3: the bucket', 'stream-ingest-demo')
    .option('--json', 'print one JSON document')
    .action(async options => {
      const { demoCommand } = await import('./demo.ts')
      setExitCode(await demoCommand(options, io))
    })
}

function addValidate(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  program
    .command('validate')
    .description('check configuration files without connecting anywhere')
    .argument('[files...]', 'YAML or JSON files; default: INGEST_CONFIG, else ./stream-ingest.yaml')
    .option('--deny-warnings', 'warnings fail too')
    .option('--no-color', 'no colours')
    .option('--json', 'print one JSON document')
    .action(async (files: string[], options) => {
      const { validateCommand } = await import('./validate.ts')
      setExitCode(await validateCommand(files, options, io))
    })
}

function addExplain(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  program
    .command('explain')
    .description('what an error code means, and what to do')
    .argument('[code]', 'as it stands in the message; without one, all codes')
    .option('--json', 'print one JSON document')
    .action(async (code: string | undefined, options) => {
      const { explainCommand } = await import('./explain.ts')
      setExitCode(await explainCommand(code, options, io))
    })
}

function addRun(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  program
    .command('run')
    .description('ingest until stopped')
    .argument('[config]', 'YAML or JSON file; default: INGEST_CONFIG, else ./stream-ingest.yaml')
    .option('--until-latest', 'stop at the end offsets that are seen at the start')
    .option('--for <duration>', 'stop after this long, e.g. 10m', parseDuration)
    .option('--dry-run', 'read, decode and validate; write nothing')
    .option('--pipeline <name>', 'run this pipeline only')
    .addOption(new Option('--log <format>', 'form of the log on stderr').choices(['json', 'pretty']))
    .option('-q, --quiet', 'no log')
    .option('-v, --verbose', 'stacks with errors')
    .option('--json', 'print one JSON document')
    .action(async (file: string | undefined, options) => {
      const [{ loadConfig }, { runCommand }] = await Promise.all([
        import('./load-config.ts'),
        import('./run.ts'),
      ])
      const config = await loadConfig(file, io, {
        dryRun: options.dryRun === true,
        pipeline: options.pipeline,
      })
      setExitCode(
        await runCommand(
          config,
          {
            untilLatest: options.untilLatest === true,
            ...(options.for === undefined ? {} : { runtimeLimitMs: options.for }),
            json: options.json === true,
            log: options.log ?? (io.stderr.isTTY === true ? 'pretty' : 'json'),
            quiet: options.quiet === true,
            verbose: options.verbose === true,
          },
          io,
          killOptions(io),
        ),
      )
    })
}

/** For chaos tests and the demonstration: die at a chosen write, by a real SIGKILL. */
function killOptions(io: CommandIo): ProcessorOptions {
  const killAt = io.env.STREAM_INGEST_KILL_AT
  if (killAt === undefined || killAt === '') return {}
  const plan = parseKillPlan(killAt)
  return {
    wrapStore: store => killingStore(store, plan, () => io.kill()),
  }
}

/** Tables are named by path or URI, or by a configuration file. */
function withTableOptions(command: Command): Command {
  return withNewestTableOptions(command)
    .option('--version <number>', 'the table at this version', parseCount)
    .option('--at <time>', 'the table at this time: 2026-11-22T14:00:00Z', parseTime)
}

/** The same without a choice of the version: what changes a table changes the newest one. */
function withNewestTableOptions(command: Command): Command {
  return command
    .option('--pipeline <name>', 'with a configuration of several pipelines: which one')
    .option('--endpoint <url>', 'of an S3-compatible server')
    .option('--region <name>', 'of the bucket; default: AWS_REGION, else us-east-1')
    .option('--json', 'print one JSON document')
}

function addInspect(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  const inspect = program.command('inspect').description('look at a table')
  withTableOptions(
    inspect
      .command('table')
      .description('version, schema, files, size, offsets')
      .argument('<table>', 'path, file:// or s3:// URI, or a configuration file'),
  )
    .option('--history', 'the versions that the log holds, the newest first')
    .option('--files', 'the live files')
    .option('--schema', 'every column with its type, and what the table says of it')
    .option('--offsets', 'every offset that is committed with the data')
    .option('--action <version>', 'the actions of one commit', parseCount)
    .option('--limit <count>', 'at most this many versions or files', parseCount)
    .action(async (table: string, options) => {
      const { inspectTableCommand } = await import('./inspect-table.ts')
      setExitCode(await inspectTableCommand(table, options, io))
    })
}

function addRead(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  withTableOptions(
    program
      .command('read')
      .description('print the rows of a table')
      .argument('<table>', 'path, file:// or s3:// URI, or a configuration file'),
  )
    .option('--columns <names>', 'only these, comma-separated')
    .option('--limit <count>', 'at most this many rows', parseCount)
    .addOption(new Option('--format <format>', 'form of the rows').choices(['ndjson', 'table', 'csv']))
    .action(async (table: string, options) => {
      const { readCommand } = await import('./read.ts')
      setExitCode(await readCommand(table, options, io))
    })
}

function addCheck(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  withTableOptions(
    program
      .command('check')
      .description('is a table sound: its log, checkpoints, checksums and files')
      .argument('<table>', 'path, file:// or s3:// URI, or a configuration file'),
  )
    .option('--deep', 'read every row, and hold it against its statistics')
    .action(async (table: string, options) => {
      const { checkCommand } = await import('./check.ts')
      setExitCode(await checkCommand(table, options, io))
    })
}

function addOptimize(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  withNewestTableOptions(
    program
      .command('optimize')
      .description('put small files together, and apply deletion vectors')
      .argument('<table>', 'path, file:// or s3:// URI, or a configuration file'),
  )
    .option('--target-size <size>', 'of the new files: 128MiB', parseSize)
    .option('--min-files <count>', 'leave a partition alone that has fewer small files', parseCount)
    .option('--quiet-for <duration>', 'leave a partition alone whose newest file is younger', parseDuration)
    .addOption(
      new Option('--codec <codec>', 'of the new files').choices([
        'snappy',
        'zstd',
        'gzip',
        'lz4_raw',
        'none',
      ]),
    )
    .option('--dry-run', 'say what would be done')
    .action(async (table: string, options) => {
      const { optimizeCommand } = await import('./optimize.ts')
      setExitCode(await optimizeCommand(table, { ...options, quiet: options.quietFor }, io))
    })
}

function addVacuum(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  withNewestTableOptions(
    program
      .command('vacuum')
      .description('delete files that are no part of the table any more')
      .argument('<table>', 'path, file:// or s3:// URI, or a configuration file'),
  )
    .option(
      '--retention <duration>',
      'keep what was in the table more recently; default: as the table says, 168h',
      parseDuration,
    )
    .option('--lite', 'look at what commits removed since the last time, and not at every object')
    .option('--allow-short-retention', 'shorter than the table says, a day at least')
    .option('--dry-run', 'say what would be done')
    .action(async (table: string, options) => {
      const { vacuumCommand } = await import('./vacuum.ts')
      setExitCode(await vacuumCommand(table, options, io))
    })
}

function addCheckpoint(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  withNewestTableOptions(
    program
      .command('checkpoint')
      .description('write the checkpoint of the newest version')
      .argument('<table>', 'path, file:// or s3:// URI, or a configuration file'),
  )
    .option('--dry-run', 'say what would be done')
    .action(async (table: string, options) => {
      const { checkpointCommand } = await import('./checkpoint.ts')
      setExitCode(await checkpointCommand(table, options, io))
    })
}

function addQuarantine(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  const quarantine = program.command('quarantine').description('bad records that were set aside')
  withQuarantineFilter(
    withNewestTableOptions(
      quarantine
        .command('list')
        .description('what is in the quarantine and has not been replayed')
        .argument('[table]', 'configuration file, or path, file:// or s3:// URI of the table'),
    ),
  )
    .option('--replayed', 'what was replayed, in its place')
    .option('--limit <count>', 'at most this many records', parseCount)
    .action(async (table: string | undefined, options) => {
      const { quarantineListCommand } = await import('./quarantine-list.ts')
      setExitCode(await quarantineListCommand(table, options, io))
    })
  withQuarantineFilter(
    quarantine
      .command('replay')
      .description('ingest what the configuration takes by now, exactly once')
      .argument('[config]', 'YAML or JSON file; default: INGEST_CONFIG, else ./stream-ingest.yaml'),
  )
    .option('--dry-run', 'say what would be done')
    .option('--pipeline <name>', 'with a configuration of several pipelines: which one')
    .option('--json', 'print one JSON document')
    .action(async (file: string | undefined, options) => {
      const { quarantineReplayCommand } = await import('./quarantine-replay.ts')
      setExitCode(await quarantineReplayCommand(file, options, io, killOptions(io)))
    })
}

function withQuarantineFilter(command: Command): Command {
  return command
    .option('--code <code>', 'only records with this error code')
    .option('--topic <name>', 'only records of this topic')
    .option('--partition <number>', 'only records of this topic partition', parseCount)
    .option('--since <time>', 'quarantined at this time or later: 2026-11-22T14:00:00Z', parseTime)
    .option('--until <time>', 'quarantined before this time', parseTime)
}

/** With a zone, or in UTC. */
function parseTime(text: string): number {
  const isTime = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:?\d\d)?)?$/.test(text)
  const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/.test(text.slice(10))
  const ms = isTime ? Date.parse(text.length > 10 && !hasZone ? `${text}Z` : text) : Number.NaN
  if (Number.isNaN(ms)) throw new InvalidArgumentError('expected a time: 2026-11-22T14:00:00Z.')
  return ms
}

const SIZE_UNITS: Readonly<Record<string, number>> = { b: 1, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30 }

function parseSize(text: string): number {
  const match = /^(\d{1,9}(?:\.\d+)?)(b|kib|mib|gib)$/i.exec(text)
  const sizeBytes = match === null ? 0 : Math.round(Number(match[1]) * SIZE_UNITS[match[2]!.toLowerCase()]!)
  if (sizeBytes < 1) throw new InvalidArgumentError('expected a size with its unit: 64MiB, 1GiB.')
  return sizeBytes
}

function parseCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('expected a whole number.')
  return Number(text)
}

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

function parseDuration(text: string): number {
  const match = /^(\d{1,9}(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text)
  if (match === null) throw new InvalidArgumentError('expected a duration with its unit: 30s, 10m, 2h.')
  return Math.round(Number(match[1]) * DURATION_UNITS[match[2]!]!)
}
