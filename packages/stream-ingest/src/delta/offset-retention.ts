/**
 * Does the table keep a pipeline's offsets for as long as the pipeline may rest?
 *
 * @module
 */
import type { TableState } from '@stream-ingest/delta'
import { DeltaError } from '../error.ts'

/** Lets `txn`s expire that are older than its value: in every reader's eyes, and in checkpoints for good. */
const TXN_RETENTION_PROPERTY = 'delta.setTransactionRetentionDuration'

/**
 * Refuses a table that forgets offsets. However long it keeps them, a pipeline that rests for longer would find none and
 * read its topics from the start again, or skip what came meanwhile; and once a checkpoint has left them out, nobody can
 * tell such a table from one that never held any.
 *
 * @throws DeltaError `TABLE_OFFSETS_EXPIRE`
 */
export function assertKeepsOffsets(tableUri: string, { metadata, version }: TableState): void {
  const retention = metadata.configuration[TXN_RETENTION_PROPERTY]
  if (retention === undefined) return
  throw new DeltaError(
    'TABLE_OFFSETS_EXPIRE',
    `${tableUri} forgets offsets after \`${retention}\` (its property \`${TXN_RETENTION_PROPERTY}\`): a pipeline that rests for longer would read messages twice or skip them`,
    { context: { table: tableUri, version, property: TXN_RETENTION_PROPERTY, value: retention } },
  )
}
