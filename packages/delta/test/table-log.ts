/**
 * Writes logs of small tables into a memory store, through the product's own codecs.
 *
 * @module
 */
import type { Action, Add, Metadata, Protocol } from '../src/action.ts'
import { formatCommit } from '../src/action-codec.ts'
import { formatCommitPath } from '../src/log-path.ts'
import { field, primitive, struct } from '../src/schema.ts'
import { formatSchemaString } from '../src/schema-codec.ts'
import { MemoryObjectStore } from '../src/store/memory.ts'
import type { StoreCall } from '../src/store/store-fault.ts'

export const SCHEMA = struct([field('id', primitive('long'))])

export const PROTOCOL: Protocol = { minReaderVersion: 1, minWriterVersion: 2 }

export function metadataOf(configuration: Record<string, string> = {}): Metadata {
  return {
    id: 'table-1',
    format: { provider: 'parquet', options: {} },
    schemaString: formatSchemaString(SCHEMA),
    partitionColumns: [],
    configuration,
  }
}

export function addOf(path: string, size = 100): Add {
  return { path, partitionValues: {}, size, modificationTime: 1, dataChange: true }
}

export interface TestLog {
  readonly store: MemoryObjectStore
  /** Every call on the store, in order. */
  readonly calls: StoreCall[]
  put(key: string, text: string): Promise<void>
  commit(version: number, actions: readonly Action[]): Promise<void>
}

/** @param now for the objects' modification times */
export function createTestLog(now: () => number = () => 0): TestLog {
  const calls: StoreCall[] = []
  const store = new MemoryObjectStore({
    name: 'test',
    now,
    faults: call => {
      calls.push(call)
      return undefined
    },
  })
  return {
    store,
    calls,
    put: (key, text) => store.put(key, new TextEncoder().encode(text)),
    commit: (version, actions) => store.put(formatCommitPath(version), formatCommit(actions)),
  }
}

/** Versions 0 to `newest`: each adds one file and moves the `txn` of `app` to ten times the version. */
export async function createTestTable(
  newest: number,
  configuration: Record<string, string> = {},
  protocol: Protocol = PROTOCOL,
): Promise<TestLog> {
  const log = createTestLog()
  for (let version = 0; version <= newest; version++) {
    await log.commit(version, [
      { commitInfo: { timestamp: version, operation: 'WRITE', txnId: `txn-${version}` } },
      ...(version === 0 ? [{ protocol }, { metaData: metadataOf(configuration) }] : []),
      { txn: { appId: 'app', version: BigInt(version) * 10n, lastUpdated: version } },
      { add: addOf(`f${version}.parquet`) },
    ])
  }
  log.calls.length = 0
  return log
}
