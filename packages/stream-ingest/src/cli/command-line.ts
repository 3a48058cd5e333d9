/**
 * The verbs and their options. Each verb lives in a file of its own; this one only reads the words.
 *
 * @module
 */
import { Command, CommanderError, Option } from 'commander'
import type { IngestConfig } from '../config/config.ts'
import { ConfigError, EXIT_CODES, StreamIngestError } from '../error.ts'
import type { ProcessorOptions } from '../pipeline/stream-ingest-processor.ts'
import { killingStore, parseKillPlan } from '../testing/kill-point.ts'
import {
  parseCount,
  parseCounts,
  parseDuration,
  parsePosition,
  parseSize,
  parseStart,
  parseTime,
} from './argument.ts'
import type { CommandIo } from './command-io.ts'
import { TEMPLATE_NAMES } from './config-template.ts'
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
  addInit(program, io, setExitCode)
  addValidate(program, io, setExitCode)
  addRun(program, io, setExitCode)
  addStatus(program, io, setExitCode)
  addTap(program, io, setExitCode)
  addOffsets(program, io, setExitCode)
  addInspect(program, io, setExitCode)
  addRead(program, io, setExitCode)
  addExplain(program, io, setExitCode)
  addSchema(program, io, setExitCode)
  addCheck(program, io, setExitCode)
  addOptimize(program, io, setExitCode)
  addVacuum(program, io, setExitCode)
  addCheckpoint(program, io, setExitCode)
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

function addInit(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  program
    .command('init')
    .description('write a configuration to begin with')
    .argument('[folder]', 'where to', '.')
    .addOption(
      new Option('--template <name>', 'tables in a folder, on S3, or on S3 from Amazon MSK')
        .choices(TEMPLATE_NAMES)
        .default('local'),
    )
    .option('--overwrite', 'also where there is one')
    .option('--json', 'print one JSON document')
    .action(async (folder: string, options) => {
      const { initCommand } = await import('./init.ts')
      setExitCode(await initCommand(folder, options, io))
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

function addSchema(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  program
    .command('schema')
    .description('the JSON Schema of the configuration, for editors')
    .action(async () => {
      const { schemaCommand } = await import('./schema.ts')
      setExitCode(await schemaCommand(io))
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
    .option(
      '--metrics <address>',
      'serve /metrics, /healthz and /readyz: a port of this machine alone, HOST:PORT, or :PORT',
    )
    .option('-q, --quiet', 'no log')
    .option('-v, --verbose', 'stacks with errors')
    .option('--json', 'print one JSON document')
    .action(async (file: string | undefined, options) => {
      const [{ loadConfig }, { runCommand }, { parseListenAddress }] = await Promise.all([
        import('./load-config.ts'),
        import('./run.ts'),
        import('./metrics-server.ts'),
      ])
      const config = await loadConfig(file, io, {
        dryRun: options.dryRun === true,
        pipeline: options.pipeline,
      })
      setExitCode(
        await runCommand(
          config,
          {
            ...(options.metrics === undefined ? {} : { metrics: parseListenAddress(options.metrics) }),
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

function addStatus(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  program
    .command('status')
    .description('how far behind, and since when, from the tables and Kafka')
    .argument('[configs...]', 'YAML or JSON files; default: INGEST_CONFIG, else ./stream-ingest.yaml')
    .option('--pipeline <name>', 'this pipeline only')
    .option('--partitions', 'every partition')
    .option('--reconcile', 'what became of the messages behind every commit that the log holds')
    .option(
      '--stale-after <duration>',
      'exit 1 where a table is behind and its newest row is older; default: freshness.error_after',
      parseDuration,
    )
    .option('--watch <duration>', 'again and again, with this pause, until stopped', parseDuration)
    .option('--json', 'print one JSON document')
    .action(async (files: string[], options) => {
      const [{ loadConfigs }, { statusCommand }] = await Promise.all([
        import('./load-config.ts'),
        import('./status.ts'),
      ])
      const config = await loadConfigs(files, io, { pipeline: options.pipeline })
      const { staleAfter, watch, ...others } = options
      const times = {
        ...(staleAfter === undefined ? {} : { staleAfterMs: staleAfter }),
        ...(watch === undefined ? {} : { watchMs: watch }),
      }
      setExitCode(await statusCommand(config, { ...others, ...times }, io))
    })
}

function addTap(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  program
    .command('tap')
    .description('messages as the rows that they would become; moves and writes nothing')
    .argument('[config]', 'YAML or JSON file; default: INGEST_CONFIG, else ./stream-ingest.yaml')
    .option('--last <count>', 'the last ones of each partition; default: 10', parseCount)
    .option('--from <position>', 'in place of --last: earliest, an offset, or a time', parsePosition)
    .option('--until <position>', 'end before this offset, or this time', parsePosition)
    .option('--limit <count>', 'with --from: of each partition; default: 10, or all with --until', parseCount)
    .option('--topic <name>', 'of several: this one only')
    .option('--partition <number...>', 'these only', parseCounts)
    .option('--bad', 'only those that do not fit, and why')
    .option('--pipeline <name>', 'with a configuration of several pipelines: which one')
    .option('--json', 'print one JSON document')
    .action(async (file: string | undefined, options) => {
      const [config, { tapCommand }] = await Promise.all([
        loadOnePipeline(file, options.pipeline, io),
        import('./tap.ts'),
      ])
      const { partition: partitions, ...others } = options
      const chosen = partitions === undefined ? {} : { partitions }
      setExitCode(await tapCommand(config, { ...others, ...chosen }, io))
    })
}

function addOffsets(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  const offsets = program.command('offsets').description('where a pipeline stands in its table')
  offsets
    .command('show')
    .description('the offsets that the table holds, beside those of Kafka')
    .argument('[configs...]', 'YAML or JSON files; default: INGEST_CONFIG, else ./stream-ingest.yaml')
    .option('--pipeline <name>', 'this pipeline only')
    .option('--json', 'print one JSON document')
    .action(async (files: string[], options) => {
      const [{ loadConfigs }, { statusCommand }] = await Promise.all([
        import('./load-config.ts'),
        import('./status.ts'),
      ])
      const config = await loadConfigs(files, io, { pipeline: options.pipeline })
      setExitCode(await statusCommand(config, { partitions: true, json: options.json === true }, io))
    })
  for (const [verb, description, position] of [
    ['set', 'move them, by a commit that says so: back repeats messages, on passes over them', parsePosition],
    ['reset', 'the same, to a place that Kafka knows', parseStart],
  ] as const) {
    const positions =
      verb === 'set' ? 'earliest, latest, an offset, or a time' : 'earliest, latest, or a time'
    offsets
      .command(verb)
      .description(description)
      .argument('[config]', 'YAML or JSON file; default: INGEST_CONFIG, else ./stream-ingest.yaml')
      .requiredOption('--to <position>', `${positions}: 2026-11-22T14:00:00Z`, position)
      .option('--topic <name>', 'of several: this one only')
      .option('--partition <number...>', 'these only', parseCounts)
      .option('--reason <text>', "for the table's history")
      .option('--pipeline <name>', 'with a configuration of several pipelines: which one')
      .option('--dry-run', 'say what would be done')
      .option('--force', 'also where a process of the pipeline seems to be running')
      .option('--yes', 'do it')
      .option('--json', 'print one JSON document')
      .action(async (file: string | undefined, options) => {
        const [config, { setOffsetsCommand }] = await Promise.all([
          loadOnePipeline(file, options.pipeline, io),
          import('./offsets.ts'),
        ])
        const { partition: partitions, ...others } = options
        const chosen = partitions === undefined ? {} : { partitions }
        setExitCode(await setOffsetsCommand(config, { ...others, ...chosen }, io))
      })
  }
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
          ? await loadOnePipeline(name, options.pipeline, io)
          : configOfTopic(options.bootstrap, name)
      setExitCode(await inspectTopicCommand(config, options, io))
    })
}

/** A configuration with the one pipeline that is meant. */
async function loadOnePipeline(
  file: string | undefined,
  pipeline: string | undefined,
  io: CommandIo,
): Promise<IngestConfig> {
  const { loadConfig, pipelineOf } = await import('./load-config.ts')
  const { name } = pipelineOf(await loadConfig(file, io), pipeline)
  return loadConfig(file, io, { pipeline: name })
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
