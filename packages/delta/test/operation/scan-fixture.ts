/**
 * Tables in memory whose files hold given rows, each file with a schema of its own.
 *
 * @module
 */
import type { Action, Add, DeletionVectorDescriptor, Protocol } from '../../src/action.ts'
import { type ScanOptions, scanTable, type TableRow } from '../../src/operation/scan.ts'
import { createParquetEncoder } from '../../src/parquet/file-encoder.ts'
import type { ParquetEncodeOptions } from '../../src/parquet/parquet-encoder.ts'
import type { StructType } from '../../src/schema.ts'
import { formatSchemaString } from '../../src/schema-codec.ts'
import { loadSnapshot } from '../../src/snapshot.ts'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { batchOf, type Row } from '../column/arbitrary-batch.ts'
import { createTestLog, metadataOf, PROTOCOL, type TestLog } from '../table-log.ts'

export interface TestFile {
  readonly path: string
  readonly schema: StructType
  readonly rows: readonly Row[]
  readonly partitionValues?: Readonly<Record<string, string | null>>
  readonly deletionVector?: DeletionVectorDescriptor
  readonly encode?: Partial<ParquetEncodeOptions>
}

export interface TestTable {
  /** As the table declares it: logical names, partition columns included. */
  readonly schema: StructType
  readonly partitionColumns?: readonly string[]
  readonly configuration?: Readonly<Record<string, string>>
  readonly protocol?: Protocol
  readonly files: readonly TestFile[]
}

const encoder = createParquetEncoder()

export function encodeRows(
  schema: StructType,
  rows: readonly Row[],
  options: Partial<ParquetEncodeOptions> = {},
): Uint8Array {
  return encoder.encode(batchOf(schema, rows), { codec: 'snappy', ...options }).bytes
}

/** Writes version 0 of a table with its files. */
export async function createScanTable(table: TestTable): Promise<TestLog> {
  const log = createTestLog()
  const adds: Action[] = []
  for (const file of table.files) adds.push({ add: await putFile(log.store, file) })
  const metaData = {
    ...metadataOf({ ...table.configuration }),
    schemaString: formatSchemaString(table.schema),
    partitionColumns: table.partitionColumns ?? [],
  }
  await log.commit(0, [{ commitInfo: {} }, { protocol: table.protocol ?? PROTOCOL }, { metaData }, ...adds])
  return log
}

async function putFile(store: ObjectStore, file: TestFile): Promise<Add> {
  const bytes = encodeRows(file.schema, file.rows, file.encode)
  await store.put(file.path, bytes)
  return {
    path: file.path,
    partitionValues: file.partitionValues ?? {},
    size: bytes.length,
    modificationTime: 1,
    dataChange: true,
    ...(file.deletionVector === undefined ? {} : { deletionVector: file.deletionVector }),
  }
}

/** All rows of the newest version. */
export async function readAll(store: ObjectStore, options: ScanOptions = {}): Promise<TableRow[]> {
  const snapshot = await loadSnapshot(store)
  if (snapshot === null) throw new Error('there is no table')
  const all: TableRow[] = []
  for await (const rows of scanTable(snapshot, options)) all.push(...rows)
  return all
}
