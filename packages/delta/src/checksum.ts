/**
 * Version checksums, `<version>.crc`: the table's state without its files, in one small object.
 *
 * PROTOCOL.md › Version Checksum File. For a writer that restarts it replaces the checkpoint: protocol, metadata, every
 * `txn`, domains, in-commit timestamp. A list that is absent is unknown, never empty. Written once, after the commit,
 * and only with sums that are certain; a missing checksum costs time, a wrong one misleads every reader.
 *
 * @module
 */
import assert from 'node:assert/strict'
import type { DomainMetadata, Metadata, Protocol, Txn } from './action.ts'
import { toAction } from './action-codec.ts'
import { DeltaLakeError } from './error.ts'
import { formatJson, isJsonObject, parseJson } from './json.ts'
import { formatChecksumPath } from './log-path.ts'
import type { ObjectStore, RequestOptions } from './store/object-store.ts'
import { tableProperty } from './table-property.ts'
import type { FileTotals, TableState } from './table-state.ts'

/** What is used of a checksum file. */
export interface VersionChecksum {
  readonly protocol: Protocol
  readonly metadata: Metadata
  /** Null where the file does not list them: unknown. */
  readonly txns: readonly Txn[] | null
  /** Null where the file does not list them: unknown. */
  readonly domainMetadata: readonly DomainMetadata[] | null
  readonly inCommitTimestampMs: number | null
  readonly fileTotals: FileTotals
  readonly txnId: string | null
}

/** @returns null where there is none or it cannot be understood: the log itself says the same */
export async function readChecksum(
  store: ObjectStore,
  version: number,
  options?: RequestOptions,
): Promise<VersionChecksum | null> {
  const bytes = await store.get(formatChecksumPath(version), options)
  return bytes === null ? null : parseChecksum(new TextDecoder().decode(bytes))
}

/** @returns null where the text is no checksum */
export function parseChecksum(text: string): VersionChecksum | null {
  try {
    const json: unknown = parseJson(text)
    if (!isJsonObject(json)) return null
    const { numFiles, tableSizeBytes, inCommitTimestampOpt, txnId } = json
    const protocol = readBody(json.protocol, 'protocol')
    const metadata = readBody(json.metadata, 'metaData')
    if (!('protocol' in protocol) || !('metaData' in metadata)) return null
    return {
      protocol: protocol.protocol,
      metadata: metadata.metaData,
      txns: readList(json.setTransactions, 'txn', a => ('txn' in a ? a.txn : null)),
      domainMetadata: readList(json.domainMetadata, 'domainMetadata', a =>
        'domainMetadata' in a ? a.domainMetadata : null,
      ),
      inCommitTimestampMs:
        inCommitTimestampOpt === null || inCommitTimestampOpt === undefined
          ? null
          : count(inCommitTimestampOpt),
      fileTotals: { numFiles: count(numFiles), sizeBytes: count(tableSizeBytes) },
      txnId: typeof txnId === 'string' ? txnId : null,
    }
  } catch {
    return null
  }
}

/**
 * Formats the checksum of a state whose totals are known, with all its `txn`s.
 *
 * @param txnId of the version's commit: a reader can tell by it that the commit was overwritten; null where it is not known
 */
export function formatChecksum(state: TableState, txnId: string | null = null): string {
  const { fileTotals, protocol, metadata, txns, domainMetadata, inCommitTimestampMs } = state
  assert(fileTotals !== null, 'a checksum needs the totals of the files')
  return formatJson({
    txnId: txnId ?? undefined,
    tableSizeBytes: fileTotals.sizeBytes,
    numFiles: fileTotals.numFiles,
    numMetadata: 1,
    numProtocol: 1,
    inCommitTimestampOpt: inCommitTimestampMs ?? undefined,
    setTransactions: [...txns.values()],
    domainMetadata: [...domainMetadata.values()],
    metadata,
    protocol,
  })
}

/**
 * Writes the checksum of a state that is committed. Never overwrites.
 *
 * @returns `unknown-totals` where nothing was written because the sums over the files are not certain
 * @throws DeltaLakeError what the store throws; `STORE_UNAVAILABLE` where it gives no definite answer. Never a reason to
 *   doubt the commit
 */
export async function writeChecksum(
  store: ObjectStore,
  state: TableState,
  txnId: string | null = null,
): Promise<'written' | 'exists' | 'unknown-totals'> {
  if (state.fileTotals === null) return 'unknown-totals'
  const key = formatChecksumPath(state.version)
  const put = await store.putIfAbsent(key, new TextEncoder().encode(formatChecksum(state, txnId)))
  if (put.status === 'unknown') {
    throw new DeltaLakeError(
      'STORE_UNAVAILABLE',
      `no definite answer to the put of \`${key}\` in ${store.uri}`,
      {
        cause: put.cause,
        context: { table: store.uri, key },
      },
    )
  }
  return put.status === 'created' ? 'written' : 'exists'
}

/** Does the checksum say everything that a table state holds? */
export function isCompleteChecksum(checksum: VersionChecksum): boolean {
  const { protocol, metadata, txns, domainMetadata, inCommitTimestampMs } = checksum
  if (txns === null) return false
  const hasDomains = (protocol.writerFeatures ?? []).includes('domainMetadata')
  if (hasDomains && domainMetadata === null) return false
  return (
    inCommitTimestampMs !== null || !tableProperty(metadata.configuration, 'delta.enableInCommitTimestamps')
  )
}

function readBody(body: unknown, name: 'protocol' | 'metaData' | 'txn' | 'domainMetadata') {
  const action = toAction({ [name]: body }, message => new DeltaLakeError('DELTA_LOG_CORRUPT', message))
  if (action === null) throw new DeltaLakeError('DELTA_LOG_CORRUPT', `has no \`${name}\``)
  return action
}

function readList<T>(
  list: unknown,
  name: 'txn' | 'domainMetadata',
  select: (action: ReturnType<typeof readBody>) => T | null,
): T[] | null {
  if (!Array.isArray(list)) return null
  return list.map(body => select(readBody(body, name))!)
}

function count(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw new DeltaLakeError('DELTA_LOG_CORRUPT', 'a sum is not a count')
  }
  return value
}
