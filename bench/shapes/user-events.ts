/**
 * Events of about 200 bytes with eight fields: what most of the figures are about.
 *
 * @module
 */
import { generateMessages } from '../../packages/stream-ingest/src/testing/generate-messages.ts'
import type { Shape } from './shape.ts'

export const userEvents: Shape = {
  name: 'events',
  title: 'user events',
  columns: [
    { name: 'user_id', type: 'int64', required: true },
    { name: 'event_type', type: 'utf8', required: true },
    { name: 'timestamp', type: 'timestamp_millisecond', required: true },
    { name: 'session_id', type: 'utf8' },
    { name: 'page', type: 'utf8' },
    { name: 'amount', type: 'float64' },
    { name: 'quantity', type: 'int32' },
    { name: 'is_mobile', type: 'boolean' },
  ],
  count: 2_000_000,
  quickCount: 300_000,
  messages: (seed, count) => generateMessages({ seed, count }),
}
