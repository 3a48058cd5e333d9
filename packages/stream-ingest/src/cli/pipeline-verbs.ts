/**
 * The words of the verbs that look at a pipeline, or move it.
 *
 * @module
 */
import type { Command } from 'commander'
import { parseCount, parseCounts, parseDuration, parsePosition, parseStart, parseTime } from './argument.ts'
import type { CommandIo } from './command-io.ts'
import { killOptions } from './kill-options.ts'
import { withNewestTableOptions } from './table-verbs.ts'

export function addStatus(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
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

export function addTap(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
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
        import('./load-config.ts').then(one => one.loadOnePipeline(file, options.pipeline, io)),
        import('./tap.ts'),
      ])
      const { partition: partitions, ...others } = options
      const chosen = partitions === undefined ? {} : { partitions }
      setExitCode(await tapCommand(config, { ...others, ...chosen }, io))
    })
}

export function addOffsets(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
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
          import('./load-config.ts').then(one => one.loadOnePipeline(file, options.pipeline, io)),
          import('./offsets.ts'),
        ])
        const { partition: partitions, ...others } = options
        const chosen = partitions === undefined ? {} : { partitions }
        setExitCode(await setOffsetsCommand(config, { ...others, ...chosen }, io))
      })
  }
}

export function addQuarantine(program: Command, io: CommandIo, setExitCode: (code: number) => void): void {
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
