/**
 * Row ids of appended files.
 *
 * PROTOCOL.md › Row Tracking. Each new file gets `baseRowId = high-water mark + 1` and moves the mark by its physical
 * rows; the mark is a domain of its own, written in the same commit. Both depend on the version that is attempted.
 *
 * @module
 */
import type { Add, DomainMetadata } from './action.ts'
import { DeltaLakeError } from './error.ts'
import { isJsonObject, parseJson } from './json.ts'
import { tableProperty } from './table-property.ts'
import type { TableState } from './table-state.ts'

export const ROW_TRACKING_DOMAIN = 'delta.rowTracking'

/** A missing mark is −1: the first row id of a table is 0. */
export function rowIdHighWaterMark(state: TableState): bigint {
  const domain = state.domainMetadata.get(ROW_TRACKING_DOMAIN)
  if (domain === undefined) return -1n
  const parsed = parseJson(domain.configuration)
  const mark = isJsonObject(parsed) ? parsed.rowIdHighWaterMark : null
  if (typeof mark !== 'number' && typeof mark !== 'bigint') {
    throw new DeltaLakeError(
      'DELTA_LOG_CORRUPT',
      'the domain `delta.rowTracking` holds no `rowIdHighWaterMark`',
    )
  }
  return BigInt(mark)
}

/** Does the protocol ask each add for row ids? */
export function assignsRowIds(state: TableState): boolean {
  return (
    (state.protocol.writerFeatures ?? []).includes('rowTracking') &&
    !tableProperty(state.metadata.configuration, 'delta.rowTrackingSuspended')
  )
}

/**
 * @param rowCounts physical rows of each add, in order
 * @returns the adds with ids, and the domain action that moves the mark
 */
export function assignRowIds(
  state: TableState,
  version: number,
  adds: readonly Add[],
  rowCounts: readonly number[],
): { adds: Add[]; domainMetadata: DomainMetadata } {
  let mark = rowIdHighWaterMark(state)
  const assigned = adds.map((add, i) => {
    const baseRowId = mark + 1n
    mark += BigInt(rowCounts[i]!)
    return { ...add, baseRowId, defaultRowCommitVersion: version }
  })
  const configuration = `{"rowIdHighWaterMark":${mark}}`
  return { adds: assigned, domainMetadata: { domain: ROW_TRACKING_DOMAIN, configuration, removed: false } }
}
