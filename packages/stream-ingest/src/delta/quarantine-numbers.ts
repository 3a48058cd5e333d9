/**
 * What binds a commit of the quarantine to the commit of the table that it belongs to: no commit spans two tables.
 *
 * Each step in the quarantine takes the next number of its series, and marks its rows with it. The commit of the table
 * then names that number in a `txn` of its own, beside the offsets (or the rows) that belong to it, and only by that do
 * the rows count. A step whose commit of the table never came is void, whoever died where; no process can make it count
 * later, since its commit of the table expects the name that was there when the step was taken.
 *
 *     in the quarantine   txn <series>           the last number that was taken
 *                         txn <series>-settled   up to here, every number that rows still bear counts
 *                         txn <series>-open      the last number whose commit of the table replaces it at the end of a run
 *     in the table        txn <series>           the number named last
 *                         txn <series>-floor     where the table was replaced: the number that began it anew
 *
 * A step first settles: the number that the table names counts, those between it and the settled ones are void, and their
 * rows are taken out. So at any time a number counts where it is settled, or is the one that the table names.
 *
 * A commit that replaces the table takes its quarantine with it: beside a number it names a floor, below which none counts.
 *
 * There are two kinds of series. `attempts`: of the records that one topic partition puts into the quarantine, one number
 * for each epoch that has any. `replays`: of a pipeline, one number for each batch of records that go back into the table.
 *
 * @module
 */
import type { Txn } from '@stream-ingest/delta'

export type Txns = ReadonlyMap<string, Pick<Txn, 'version'>>

/** @param appId of the topic partition's offsets in the table */
export function attemptSeries(appId: string): string {
  return `${appId}:quarantine`
}

export function replaySeries(pipelineId: string): string {
  return `${pipelineId}:replay`
}

export function settledAppId(series: string): string {
  return `${series}-settled`
}

export function openAppId(series: string): string {
  return `${series}-open`
}

export function floorAppId(series: string): string {
  return `${series}-floor`
}

/** Where a series stands. Zero: nothing yet. */
export interface SeriesNumbers {
  readonly taken: bigint
  readonly settled: bigint
  readonly named: bigint
  readonly floor: bigint
  readonly open: bigint
}

/**
 * Who judges rows by it and commits nothing reads the table first: a number that the table has left behind is settled in
 * any later version of the quarantine. A commit to the quarantine meets what moved meanwhile as a conflict.
 */
export function readSeries(series: string, quarantine: Txns, table: Txns): SeriesNumbers {
  return {
    taken: quarantine.get(series)?.version ?? 0n,
    settled: quarantine.get(settledAppId(series))?.version ?? 0n,
    named: table.get(series)?.version ?? 0n,
    floor: table.get(floorAppId(series))?.version ?? 0n,
    open: quarantine.get(openAppId(series))?.version ?? 0n,
  }
}

/** Do rows of this number count? */
export function doesCount(number: bigint, { settled, named, floor }: SeriesNumbers): boolean {
  return number >= floor && (number <= settled || number === named)
}

/** The number that the next step takes. */
export function nextNumber({ taken, named }: SeriesNumbers): bigint {
  return (taken > named ? taken : named) + 1n
}

/** Up to where a step settles. */
export function settlesUpTo({ settled, named }: SeriesNumbers): bigint {
  return named > settled ? named : settled
}

/** Rows of this number can never count any more. */
export function isVoid(number: bigint, numbers: SeriesNumbers): boolean {
  return number < numbers.named && !doesCount(number, numbers)
}

/** May there be rows that are void? Numbers are taken without gaps, so that usually it is known that there are none. */
export function mayHoldVoid({ settled, named, floor }: SeriesNumbers): boolean {
  return named > settled + 1n || floor > settled
}

/**
 * May a number that the table does not name be that of a run which replaces it? Such a run's commit does not depend on how
 * far the table has come, so that nothing but a later number tells that it is void.
 */
export function isOpen({ settled, named, open }: SeriesNumbers): boolean {
  return open > named && open > settled
}

/** Has a step been taken that the table does not name (yet, or because its process died)? */
export function isPending({ taken, settled, named }: SeriesNumbers): boolean {
  return taken > named && taken > settled
}
