/**
 * The words of the verbs that look at a table or take care of it.
 *
 * @module
 */
import { type Command, Option } from 'commander'
import { parseCount, parseDuration, parseSize, parseTime } from './argument.ts'
import type { CommandIo } from './command-io.ts'

/** Tables are named by path or URI, or by a configuration file. */
function withTableOptions(command: Command): Command {
  return withNewestTableOptions(command)
    .option('--version <number>', 'the table at this version', parseCount)
    .option('--at <time>', 'the table at this time: 2026-11-22T14:00:00Z', parseTime)
}

/** The same without a choice of the version: what changes a table changes the newest one. */
export function withNewestTableOptions(command: Command): Command {
  return command
    .option('--pipeline <name>', 'with a configuration of several pipelines: which one')
    .option('--endpoint <url>', 'of an S3-compatible server')
    .option('--region <name>', 'of the bucket; default: AWS_REGION, else us-east-1')
    .option('--json', 'print one JSON document')
}

export function addInspect(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  const inspect = program.command('inspect').description('look at a table or a topic')
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
  addInspectTopic(inspect, io, setExitCode)
}

function addInspectTopic(inspect: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  inspect
    .command('topic')
    .description('partitions, leaders, offsets, settings')
    .argument('[config]', 'YAML or JSON file; default: INGEST_CONFIG, else ./stream-ingest.yaml')
    .option('--bootstrap <servers>', 'in place of a configuration: host:port of brokers, and name the topic')
    .option('--pipeline <name>', 'with a configuration of several pipelines: which one')
    .option('--json', 'print one JSON document')
    .action(async (name: string | undefined, options) => {
      const { configOfTopic, inspectTopicCommand } = await import('./inspect-topic.ts')
      const config =
        options.bootstrap === undefined
          ? await (await import('./load-config.ts')).loadOnePipeline(name, options.pipeline, io)
          : configOfTopic(options.bootstrap, name)
      setExitCode(await inspectTopicCommand(config, options, io))
    })
}

export function addRead(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
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

export function addCheck(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
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

export function addOptimize(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
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

export function addVacuum(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
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

export function addCheckpoint(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
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
