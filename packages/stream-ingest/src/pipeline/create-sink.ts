/**
 * Which way a run's cuts go: by `delta.write_mode`, or nowhere in a dry run.
 *
 * @module
 */
import type { TableWriter } from '../delta/table-writer.ts'
import { AppendSink, DryRunSink, type EpochSink, type SinkContext } from './epoch-sink.ts'
import { OverwriteSink } from './overwrite-sink.ts'

/** @param writer null in a dry run on a table that does not exist yet */
export function createSink(context: SinkContext, writer: TableWriter | null): EpochSink {
  if (context.config.processing.dryRun || writer === null) return new DryRunSink(context, writer)
  const { writeMode } = context.config.delta
  return writeMode === 'overwrite' ? new OverwriteSink(context, writer) : new AppendSink(context, writer)
}
