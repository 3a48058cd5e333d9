/**
 * The columns of a quarantine table: a record as Kafka gave it, what is wrong with it, and what became of it.
 *
 * @module
 */
import {
  array,
  field,
  formatDataType,
  primitive,
  type StructType,
  struct,
  type TableState,
} from '@stream-ingest/delta'
import { DeltaError } from '../error.ts'

/** Appended to the name of the table whose bad records it holds. */
const QUARANTINE_SUFFIX = '_quarantine'

/** The name of the table that holds the bad records of another. */
export function quarantineTableName(tableName: string): string {
  return `${tableName}${QUARANTINE_SUFFIX}`
}

/** What the epoch knows of a bad record: everything but the numbers that only its commit gives it. */
export const QUARANTINED_RECORD: StructType = struct([
  // The pipeline's id, as in the table's offsets.
  field('pipeline', primitive('string'), false),
  field('topic', primitive('string'), false),
  // A topic that is deleted and created again has another one.
  field('topic_id', primitive('string'), false),
  field('partition', primitive('integer'), false),
  field('offset', primitive('long'), false),
  // Null where the producer set none, or one outside of the years 1 to 9999, which no reader takes.
  field('timestamp', primitive('timestamp')),
  // The same in milliseconds, whatever it is.
  field('timestamp_ms', primitive('long')),
  field('key', primitive('binary')),
  field('value', primitive('binary')),
  field('headers', array(struct([field('key', primitive('string')), field('value', primitive('binary'))]))),
  // In place of `headers` where those cannot be read: a name that is not UTF-8, or a length that leads out of the record.
  field('raw_headers', primitive('binary')),
  field('error_code', primitive('string'), false),
  field('error_message', primitive('string'), false),
  field('column_path', primitive('string'), false),
  field('column_name', primitive('string')),
  field('quarantined_at', primitive('timestamp'), false),
])

export const ATTEMPT_FIELD = field('attempt', primitive('long'), false)

export const QUARANTINE_SCHEMA: StructType = struct([
  ...QUARANTINED_RECORD.fields,
  ATTEMPT_FIELD,
  field('replay', primitive('long')),
  field('replayed_at', primitive('timestamp')),
])

/**
 * Refuses a table that is something else. More columns than these are no matter: they are null.
 *
 * @throws DeltaError `TABLE_SCHEMA_MISMATCH`
 */
export function assertQuarantineTable(tableUri: string, { schema, metadata }: TableState): void {
  const problems: string[] = []
  for (const { name, type } of QUARANTINE_SCHEMA.fields) {
    const found = schema.fields.find(each => each.name === name)
    if (found === undefined) problems.push(`it has no column \`${name}\``)
    else if (formatDataType(found.type) !== formatDataType(type)) {
      problems.push(
        `its column \`${name}\` is \`${formatDataType(found.type)}\`, not \`${formatDataType(type)}\``,
      )
    }
  }
  if (metadata.partitionColumns.length > 0) problems.push('it is partitioned')
  if (problems.length === 0) return
  throw new DeltaError(
    'TABLE_SCHEMA_MISMATCH',
    `${tableUri} is no quarantine table: ${problems.join('; ')}`,
    {
      hint: 'move that table out of the way, or name the pipeline’s table otherwise',
      context: { table: tableUri },
    },
  )
}
