/**
 * The user events with a tenant: the table is partitioned by it, so that the number of tenants is that of partitions.
 *
 * @module
 */
import { generateMessages } from '../../packages/stream-ingest/src/testing/generate-messages.ts'
import type { Column, ShapeMessage } from './shape.ts'
import { userEvents } from './user-events.ts'

export const TENANT_COLUMNS: readonly Column[] = [...userEvents.columns, { name: 'tenant', type: 'utf8' }]

/** Tenants in turn: each has its share of any stretch of messages. */
export function* tenantEvents(
  seed: number,
  count: number,
  tenantCount: number,
): Generator<ShapeMessage, void, undefined> {
  for (const { index, key, value, timestampMs } of generateMessages({ seed, count })) {
    // Before the closing brace.
    const text = Buffer.from(value.buffer, value.byteOffset, value.length - 1).toString('utf8')
    const tenant = String(index % tenantCount).padStart(4, '0')
    yield { key, value: Buffer.from(`${text},"tenant":"tenant-${tenant}"}`, 'utf8'), timestampMs }
  }
}
