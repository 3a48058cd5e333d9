/**
 * Messages as Arrow: the rows that a table of this configuration would get, without a table.
 *
 * @module
 */
import type { IngestConfig } from '../config/config.ts'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { mergedTableLayout } from '../config/merged-layout.ts'
import { resolveTableLayout, type TableLayout } from '../config/table-layout.ts'
import { arrowBatchOf, arrowSchemaOf, type RecordBatch, type Schema } from '../delta/arrow.ts'
import { ConfigError } from '../error.ts'
import { type KafkaMessage, MessageBatch } from '../kafka/message-batch.ts'
import { chunksOfMessages } from '../kafka/message-chunk.ts'
import type { SourceChunk } from '../kafka/message-source.ts'
import { NamedPartitions } from '../kafka/named-partitions.ts'
import { badRecordError, rejectRecord } from './bad-record.ts'
import { Epoch } from './epoch.ts'
import { RecordQueue, recordBatchMaxBytes } from './record-queue.ts'
import { askMergeRules } from './schema-growth.ts'

/**
 * The columns of the configured table, partition and metadata columns included, as an Arrow schema. Under `merge_schema`
 * messages may add others.
 *
 * @param config of several pipelines the first one counts
 * @throws ConfigError where no `delta.schema` is declared: the columns are the table's, see `DeltaWriter.getTableSchema`
 */
export function createArrowSchema(config: IngestConfig | PipelineConfig): Schema {
  return arrowSchemaOf(layoutOf(pipelineOf(config)).schema)
}

/**
 * Decodes messages to columns and wraps them as Arrow. Rows are in the order of the messages within each topic partition,
 * one partition after the other; bad records and tombstones fare as `processing.on_bad_record` and `on_null_value` say, and what
 * would be quarantined is left out;
 * of messages with the same offset one is taken. Under `merge_schema` the batch has the columns that the messages bring.
 *
 * @param config of several pipelines the first one counts
 * @throws SerializationError for a bad record under `on_bad_record: stop`; ConfigError as {@link createArrowSchema}
 */
export function convertToArrowBatch(
  messages: MessageBatch | Iterable<KafkaMessage>,
  config: IngestConfig | PipelineConfig,
): RecordBatch {
  const pipeline = pipelineOf(config)
  const { processing } = pipeline
  const rules = askMergeRules(pipeline, null)
  const epoch = new Epoch(layoutOf(pipeline), processing.onNullValue, Number.POSITIVE_INFINITY, rules)
  const queue = new RecordQueue(recordBatchMaxBytes(processing))
  queue.push(messages instanceof MessageBatch ? messages.chunks : chunksOf(messages))
  for (const bad of epoch.appendAll(queue, 0)) {
    if (rejectRecord(converting(pipeline), bad, false) === 'stop') {
      throw badRecordError(pipeline, bad, pipeline.delta.tableName)
    }
  }
  return arrowBatchOf(epoch.cut().batch)
}

/** Nothing is written here, so that nothing can be put into a quarantine. */
function converting(pipeline: PipelineConfig): PipelineConfig {
  const { processing } = pipeline
  if (processing.onBadRecord !== 'quarantine') return pipeline
  return { ...pipeline, processing: { ...processing, onBadRecord: 'skip' } }
}

function chunksOf(messages: Iterable<KafkaMessage>): readonly SourceChunk[] {
  return chunksOfMessages(messages, new NamedPartitions()).chunks
}

function pipelineOf(config: IngestConfig | PipelineConfig): PipelineConfig {
  if (!('pipelines' in config)) return config
  const [first] = config.pipelines
  if (first === undefined) throw new ConfigError('CONFIG_INVALID', 'the configuration has no pipelines')
  return first
}

function layoutOf({ name, delta }: PipelineConfig): TableLayout {
  if (delta.mergeSchema) return mergedTableLayout(delta, null)
  if (delta.schema !== null) return resolveTableLayout(delta)
  throw new ConfigError('CONFIG_INVALID', `pipeline \`${name}\` declares no \`delta.schema\``, {
    hint: 'declare `delta.schema`, or ask `DeltaWriter.getTableSchema` for the columns of the table that exists',
  })
}
