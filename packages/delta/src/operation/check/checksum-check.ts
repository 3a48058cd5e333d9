/**
 * A version checksum against the replayed table, every field that it has.
 *
 * PROTOCOL.md › Version Checksum File. Fields that are absent say nothing.
 *
 * @module
 */
import type { Add } from '../../action.ts'
import { toAction } from '../../action-codec.ts'
import { DeltaLakeError } from '../../error.ts'
import { isJsonObject, parseJson } from '../../json.ts'
import { canonicalProtocol } from '../../protocol.ts'
import { tableProperty } from '../../table-property.ts'
import type { TableState } from '../../table-state.ts'
import { canonical, type LiveTotals } from './live-files.ts'

/** A checksum as it was read, in the parts that are looked at. */
export interface ChecksumDocument {
  readonly json: Readonly<Record<string, unknown>>
  readonly histogramBoundaries: readonly number[] | null
  /** Null where the file does not list them. */
  readonly allFiles: readonly Add[] | null
}

/** @returns a message where the text is no checksum */
export function readChecksumDocument(bytes: Uint8Array): ChecksumDocument | string {
  let json: unknown
  try {
    json = parseJson(new TextDecoder().decode(bytes))
  } catch {
    return 'is not JSON'
  }
  if (!isJsonObject(json)) return 'is not a JSON object'
  const histogram = histogramOf(json)
  const boundaries = isJsonObject(histogram) ? histogram.sortedBinBoundaries : null
  try {
    return {
      json,
      histogramBoundaries: Array.isArray(boundaries) ? boundaries.map(Number) : null,
      allFiles: Array.isArray(json.allFiles) ? json.allFiles.map(addOf) : null,
    }
  } catch (error) {
    if (error instanceof DeltaLakeError)
      return `cannot be understood: a file in \`allFiles\` ${error.message}`
    throw error
  }
}

function addOf(body: unknown): Add {
  const action = toAction({ add: body }, message => new DeltaLakeError('DELTA_LOG_CORRUPT', message))
  if (action !== null && 'add' in action) return action.add
  throw new DeltaLakeError('DELTA_LOG_CORRUPT', 'holds what is no file')
}

/** An older name is seen in the wild. */
function histogramOf(json: Readonly<Record<string, unknown>>): unknown {
  return json.fileSizeHistogram ?? json.histogramOpt
}

/**
 * Compares everything but `allFiles`.
 *
 * @param txnId of the version's commit
 * @returns one message a field that differs
 */
export function* checksumDifferences(
  { json, histogramBoundaries }: ChecksumDocument,
  state: TableState,
  totals: LiveTotals,
  txnId: string | undefined,
): Generator<string> {
  const { histogram } = totals
  const retentionMs = tableProperty(state.metadata.configuration, 'delta.setTransactionRetentionDuration')
  const expected: Record<string, unknown> = {
    tableSizeBytes: totals.sizeBytes,
    numFiles: totals.numFiles,
    numMetadata: 1,
    numProtocol: 1,
    // Of older writers.
    numTransactions: retentionMs === null ? state.txns.size : undefined,
    numDeletedRecordsOpt: totals.deletedRecordCount,
    numDeletionVectorsOpt: totals.deletionVectorCount,
    inCommitTimestampOpt: state.inCommitTimestampMs ?? undefined,
    txnId,
  }
  for (const [field, value] of Object.entries(expected)) {
    const said = json[field] ?? undefined
    // Without the feature a writer may still note when it committed.
    if (said === undefined || value === undefined) continue
    if (said !== value) yield `\`${field}\` is ${String(said)}, by the commits ${String(value)}`
  }
  yield* bodyDifferences(json, state)
  yield* txnDifferences(json.setTransactions, state)
  yield* domainDifferences(json.domainMetadata, state)
  if (histogramBoundaries !== null && histogram !== null) {
    const { fileCounts, totalBytes } = histogramOf(json) as Record<string, unknown>
    if (canonical(fileCounts) !== canonical(histogram.fileCounts)) yield 'the histogram counts other files'
    if (canonical(totalBytes) !== canonical(histogram.totalBytes)) yield 'the histogram sums other bytes'
  }
  const deleted = json.deletedRecordCountsHistogramOpt
  if (isJsonObject(deleted) && Array.isArray(deleted.deletedRecordCounts)) {
    if (canonical(deleted.deletedRecordCounts) !== canonical(totals.deletedCountBins)) {
      yield 'the histogram of deleted rows counts others'
    }
  }
}

/** Old writers left both out. */
function* bodyDifferences(json: Readonly<Record<string, unknown>>, state: TableState): Generator<string> {
  const corrupt = (message: string): DeltaLakeError => new DeltaLakeError('DELTA_LOG_CORRUPT', message)
  const bodies = [
    ['protocol', 'protocol', state.protocol],
    ['metadata', 'metaData', state.metadata],
  ] as const
  for (const [field, name, ours] of bodies) {
    if (json[field] === undefined || json[field] === null) continue
    let said: unknown
    try {
      const action = toAction({ [name]: json[field] }, corrupt)
      if (action !== null && 'protocol' in action) said = canonicalProtocol(action.protocol)
      else if (action !== null && 'metaData' in action) said = action.metaData
    } catch (error) {
      if (!(error instanceof DeltaLakeError)) throw error
      yield `\`${field}\` cannot be understood: it ${error.message}`
      continue
    }
    if (canonical(said) !== canonical(ours))
      yield `\`${field}\` is ${canonical(said)}, by the commits ${canonical(ours)}`
  }
}

function* txnDifferences(list: unknown, state: TableState): Generator<string> {
  if (!Array.isArray(list)) return
  const told = new Set<unknown>()
  for (const { appId, version } of list.filter(isTxn)) {
    told.add(appId)
    const ours = state.txns.get(appId)?.version
    if (ours === undefined || ours !== BigInt(version)) {
      yield `the \`txn\` of \`${appId}\` is at ${version}, by the commits at ${ours ?? 'none'}`
    }
  }
  // Expired ones are left out, by the clock of the writer.
  const retentionMs = tableProperty(state.metadata.configuration, 'delta.setTransactionRetentionDuration')
  if (retentionMs !== null) return
  for (const appId of state.txns.keys()) if (!told.has(appId)) yield `the \`txn\` of \`${appId}\` is missing`
}

function* domainDifferences(list: unknown, state: TableState): Generator<string> {
  if (!Array.isArray(list)) return
  const told = new Set<unknown>()
  for (const { domain, configuration, removed } of list.filter(isDomain)) {
    told.add(domain)
    if (removed === true) yield `the domain \`${domain}\` is removed and must not be listed`
    else if (state.domainMetadata.get(domain)?.configuration !== configuration) {
      yield `the domain \`${domain}\` is not that of the commits`
    }
  }
  for (const name of state.domainMetadata.keys())
    if (!told.has(name)) yield `the domain \`${name}\` is missing`
}

function isTxn(item: unknown): item is { appId: string; version: number | bigint } {
  if (!isJsonObject(item) || typeof item.appId !== 'string') return false
  return typeof item.version === 'bigint' || Number.isSafeInteger(item.version)
}

function isDomain(item: unknown): item is { domain: string; configuration: unknown; removed: unknown } {
  return isJsonObject(item) && typeof item.domain === 'string'
}
