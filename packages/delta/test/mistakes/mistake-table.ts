/**
 * Tables for the tests of other implementations' mistakes: files whose path in the log and key in the store are given
 * apart, at an age that is given too.
 *
 * @module
 */
import type { Action, Add, Protocol } from '../../src/action.ts'
import { formatCommit } from '../../src/action-codec.ts'
import { formatCommitPath } from '../../src/log-path.ts'
import { field, primitive, type StructType, struct } from '../../src/schema.ts'
import { formatSchemaString } from '../../src/schema-codec.ts'
import { MemoryObjectStore } from '../../src/store/memory.ts'
import type { FaultQueue } from '../../src/store/store-fault.ts'
import type { Row } from '../column/arbitrary-batch.ts'
import { encodeRows } from '../operation/scan-fixture.ts'
import { testRuntime } from '../table-fixture.ts'
import { metadataOf, PROTOCOL } from '../table-log.ts'

export const NOW_MS = 1_800_000_000_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

/** The data columns of most of the tables; `p` is a partition column beside it. */
export const DATA = struct([field('id', primitive('long'))])
export const PARTITIONED = struct([...DATA.fields, field('p', primitive('string'))])
export const DV_PROTOCOL: Protocol = {
  minReaderVersion: 3,
  minWriterVersion: 7,
  readerFeatures: ['deletionVectors'],
  writerFeatures: ['deletionVectors', 'appendOnly', 'invariants'],
}

export interface TableSpec {
  readonly schema?: StructType
  readonly partitionColumns?: readonly string[]
  readonly configuration?: Readonly<Record<string, string>>
  readonly protocol?: Protocol
  readonly faults?: FaultQueue
  readonly ageMs?: number
}

export class MistakeTable {
  /** Of objects that are written from now on. */
  ageMs = 0
  version = -1
  readonly store: MemoryObjectStore
  readonly runtime = { ...testRuntime(NOW_MS), now: () => NOW_MS }

  constructor(faults?: FaultQueue) {
    this.store = new MemoryObjectStore({
      name: 'table',
      now: () => NOW_MS - this.ageMs,
      ...(faults === undefined ? {} : { faults: faults.hook }),
    })
  }

  async commit(...actions: readonly Action[]): Promise<void> {
    this.version++
    const info: Action = { commitInfo: { operation: 'WRITE', txnId: `txn-${this.version}` } }
    await this.store.put(formatCommitPath(this.version), formatCommit([info, ...actions]))
  }

  /** Puts the object; the `add` is for the caller to commit. */
  async file(key: string, rows: readonly Row[], add: Partial<Add> = {}, schema = DATA): Promise<Add> {
    const bytes = encodeRows(schema, rows)
    await this.store.put(key, bytes)
    const stats = JSON.stringify({ numRecords: rows.length })
    return {
      path: key,
      partitionValues: {},
      size: bytes.length,
      modificationTime: 1,
      dataChange: true,
      stats,
      ...add,
    }
  }

  async text(key: string, text: string): Promise<void> {
    await this.store.put(key, new TextEncoder().encode(text))
  }

  async keys(): Promise<string[]> {
    const keys: string[] = []
    for await (const { key } of this.store.list('')) if (!key.startsWith('_delta_log/')) keys.push(key)
    return keys
  }
}

/** Version 0, without files. */
export async function createTable(spec: TableSpec = {}): Promise<MistakeTable> {
  const table = new MistakeTable(spec.faults)
  table.ageMs = spec.ageMs ?? 0
  await table.commit(
    { protocol: spec.protocol ?? PROTOCOL },
    {
      metaData: {
        ...metadataOf({ ...spec.configuration }),
        schemaString: formatSchemaString(spec.schema ?? DATA),
        partitionColumns: spec.partitionColumns ?? [],
      },
    },
  )
  return table
}

/** Of `id` and the partition column `p`. */
export function createPartitioned(spec: TableSpec = {}): Promise<MistakeTable> {
  return createTable({ schema: PARTITIONED, partitionColumns: ['p'], ...spec })
}

export const row = (id: number): Row => ({ id: BigInt(id) })
