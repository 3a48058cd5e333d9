/**
 * The verbs and their options. Each verb lives in a file of its own; this one only reads the words.
 *
 * @module
 */
import { Argument, Command, CommanderError, Option } from 'commander'
import { ConfigError, EXIT_CODES, StreamIngestError } from '../error.ts'
import { parseCount, parseDuration, parseGroups } from './argument.ts'
import type { CommandIo } from './command-io.ts'
import { SHELLS, type Shell } from './completion-shell.ts'
import { TEMPLATE_NAMES } from './config-template.ts'
import { errorDocument, formatError } from './error-report.ts'
import { addHelp } from './help.ts'
import { formatJsonDocument } from './json-document.ts'
import { killOptions } from './kill-options.ts'
import { addOffsets, addQuarantine, addStatus, addTap } from './pipeline-verbs.ts'
import { addCheck, addCheckpoint, addInspect, addOptimize, addRead, addVacuum } from './table-verbs.ts'
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

/** The words of all verbs. */
export function createProgram(io: CommandIo, setExitCode: (code: number) => void): Command {
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
      '\nFirst steps:\n  stream-ingest demo                 a table from generated events; needs no Kafka and no AWS\n  stream-ingest validate FILE        check a configuration\n  stream-ingest doctor FILE          is everything there that it needs\n  stream-ingest run FILE             ingest\n  stream-ingest read ./lake/events   look at the rows',
    )
  addDemo(program, io, setExitCode)
  addInit(program, io, setExitCode)
  addValidate(program, io, setExitCode)
  addTest(program, io, setExitCode)
  addDoctor(program, io, setExitCode)
  addRun(program, io, setExitCode)
  addStatus(program, io, setExitCode)
  addTap(program, io, setExitCode)
  addOffsets(program, io, setExitCode)
  addInspect(program, io, setExitCode)
  addRead(program, io, setExitCode)
  addExplain(program, io, setExitCode)
  addSchema(program, io, setExitCode)
  addCompletion(program, io, setExitCode)
  addCheck(program, io, setExitCode)
  addOptimize(program, io, setExitCode)
  addVacuum(program, io, setExitCode)
  addCheckpoint(program, io, setExitCode)
  addQuarantine(program, io, setExitCode)
  addHelp(program)
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
    .argument(
      '[files...]',
      'YAML, JSON or Markdown files, folders, - for standard input; default: INGEST_CONFIG, else ./stream-ingest.yaml',
    )
    .option('--deny-warnings', 'warnings fail too')
    .option('--show-defaults', 'print the effective configuration, each value with its origin')
    .addOption(
      new Option(
        '--format <name>',
        'text, one JSON document, annotations of GitHub Actions, or a SARIF log',
      ).choices(['text', 'json', 'github', 'sarif']),
    )
    .option('--no-color', 'no colours')
    .option('--json', 'short for --format json')
    .action(async (files: string[], options) => {
      const { validateCommand } = await import('./validate.ts')
      setExitCode(await validateCommand(files, options, io))
    })
}

function addTest(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  program
    .command('test')
    .description('run the tests of configuration files: records, and the rows that they become')
    .argument('[configs...]', 'YAML or JSON files; default: INGEST_CONFIG, else ./stream-ingest.yaml')
    .option('--filter <text>', 'only tests with this text in their names')
    .option('--pipeline <name>', 'only tests of this pipeline')
    .option('--update', 'write what came into the files, in place of what was expected')
    .option('--deny-empty', 'exit 1 where there are no tests')
    .option('--json', 'print one JSON document')
    .action(async (files: string[], options) => {
      const { testCommand } = await import('./test.ts')
      setExitCode(await testCommand(files, options, io))
    })
}

function addDoctor(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  program
    .command('doctor')
    .description('ask Kafka, the store and the table whether everything is there, and say what to do')
    .argument('[files...]', 'YAML or JSON files; default: INGEST_CONFIG, else ./stream-ingest.yaml')
    .option('--pipeline <name>', 'look at this pipeline only')
    .option('--only <groups>', 'of kafka, store, table, clock: these only, comma-separated', parseGroups)
    .option('--timeout <duration>', 'for each request; default: 5s', parseDuration)
    .option('--no-write-probe', 'write nothing to the store, not even to scratch keys')
    .option('--json', 'print one JSON document')
    .action(async (files: string[], options) => {
      const { doctorCommand } = await import('./doctor.ts')
      const { timeout, ...rest } = options
      const timeoutMs = timeout === undefined ? {} : { timeoutMs: timeout }
      setExitCode(await doctorCommand(files, { ...rest, ...timeoutMs }, io))
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

function addCompletion(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
  program
    .command('completion')
    .description('a script that lets a shell complete verbs, options and codes')
    .addArgument(new Argument('<shell>', 'which one').choices(SHELLS))
    .action(async (shell: Shell) => {
      const { completionCommand } = await import('./completion.ts')
      setExitCode(await completionCommand(shell, program, io))
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
    .option(
      '--set <key=value>',
      'in place of what the file says, e.g. processing.batch_size=20000; repeatable',
      (value: string, previous: readonly string[] = []) => [...previous, value],
    )
    .addOption(new Option('--log <format>', 'form of the log on stderr').choices(['json', 'pretty']))
    .option(
      '--metrics <address>',
      'serve /metrics, /healthz and /readyz: a port of this machine alone, HOST:PORT, or :PORT',
    )
    .option('--no-metrics-partitions', 'with --metrics: lag and offsets of topics as a whole')
    .option('-q, --quiet', 'no log')
    .option('--no-color', 'no colours')
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
        set: options.set,
      })
      setExitCode(
        await runCommand(
          config,
          {
            ...(options.metrics === undefined ? {} : { metrics: parseListenAddress(options.metrics) }),
            metricsPartitions: options.metricsPartitions !== false,
            untilLatest: options.untilLatest === true,
            ...(options.for === undefined ? {} : { runtimeLimitMs: options.for }),
            json: options.json === true,
            log: options.log ?? (io.stderr.isTTY === true ? 'pretty' : 'json'),
            quiet: options.quiet === true,
            verbose: options.verbose === true,
            color: options.color !== false,
          },
          io,
          killOptions(io),
        ),
      )
    })
}
