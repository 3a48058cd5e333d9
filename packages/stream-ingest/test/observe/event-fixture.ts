/**
 * Events as a pipeline would publish them, for those that listen.
 *
 * @module
 */
import { type IngestEvents, type MessageCounts, publish } from '../../src/observe/event.ts'

export const NO_MESSAGES: MessageCounts = {
  messages: 0,
  rows: 0,
  badRecords: 0,
  badRecordsByCode: {},
  quarantined: 0,
  skipped: 0,
  filtered: 0,
}

export function publishStarted(changes: Partial<IngestEvents['pipeline:started']> = {}): void {
  publish('pipeline:started', {
    pipeline: 'orders',
    table: 'file:///lake/orders',
    consumerGroup: 'lake',
    version: 7,
    partitionCount: 2,
    ...changes,
  })
}

export function publishCommitted(changes: Partial<IngestEvents['commit:committed']> = {}): void {
  publish('commit:committed', {
    pipeline: 'orders',
    version: 8,
    rowCount: 1,
    fileCount: 1,
    sizeBytes: 1,
    reason: 'age',
    durationMs: 1,
    attemptCount: 1,
    counts: NO_MESSAGES,
    encodeMs: 0,
    tableFileCount: null,
    newestRecordMs: null,
    ranges: [],
    ...changes,
  })
}

export function publishProgress(changes: Partial<IngestEvents['pipeline:progress']> = {}): void {
  publish('pipeline:progress', {
    pipeline: 'orders',
    messageCount: 0,
    bufferedMessageCount: 0,
    bufferedSizeBytes: 0,
    bufferedSinceMs: null,
    partitions: [],
    ...changes,
  })
}
