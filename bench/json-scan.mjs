// Microseconds per message of the JSON decoder alone, and of whole rows with four metadata columns and a table partition:
// one million messages of 201 bytes and 8 fields into columns.
//
//   node --conditions=source bench/json-scan.mjs [messages]

import { field, primitive, struct } from '@stream-ingest/delta'
import { BatchBuilder } from '@stream-ingest/delta/column'
import { resolveTableLayout } from '../packages/stream-ingest/src/config/table-layout.ts'
import { createJsonDecoder } from '../packages/stream-ingest/src/decode/json-decoder.ts'
import { PartitionRouter } from '../packages/stream-ingest/src/decode/partition-router.ts'
import { RecordWriter } from '../packages/stream-ingest/src/decode/record-writer.ts'

const ROUNDS = 5
const messageCount = Number(process.argv[2] ?? 1_000_000)

const columns = [
  ['user_id', 'long', 'int64'],
  ['event_type', 'string', 'utf8'],
  ['timestamp', 'timestamp', 'timestamp_millisecond'],
  ['date', 'string', 'utf8'],
  ['session_id', 'string', 'utf8'],
  ['amount', 'double', 'float64'],
  ['url', 'string', 'utf8'],
  ['is_mobile', 'boolean', 'boolean'],
]
const schema = struct(columns.map(([name, type]) => field(name, primitive(type), false)))
const fields = columns.map(([name, type, declaredType]) => ({
  name,
  type: primitive(type),
  declaredType,
  nullable: false,
  source: { kind: 'payload', path: [name] },
  ...(type === 'timestamp' ? { unit: 'millisecond' } : {}),
}))

const { bytes, offsets } = generate(messageCount)
console.log(`${messageCount} messages, ${(bytes.length / messageCount).toFixed(0)} bytes each`)
// One set of builders for all rounds, handed out after each: as a pipeline does it, epoch after epoch.
const batch = new BatchBuilder(schema)
const decoder = createJsonDecoder(fields, batch.columns)
measure('payload to columns', () => {
  for (let i = 0; i < messageCount; i++) {
    const bad = decoder.decode(bytes, offsets[i], offsets[i + 1])
    if (bad !== null) throw new Error(`message ${i}: ${bad.message}`)
    batch.endRow()
  }
  batch.finish()
})

const metadataColumns = new Map(
  ['topic', 'partition', 'offset', 'timestamp'].map(name => [name, `_kafka_${name}`]),
)
const layout = resolveTableLayout({ schema, fields, partitionColumns: ['date'], derive: [], metadataColumns })
const records = recordView()
const origin = { topic: 'user-events', partition: 0 }
const rows = new BatchBuilder(layout.schema)
const writer = new RecordWriter(layout, rows)
const router = new PartitionRouter(layout, rows, 1_000)
measure('records to rows, routed', () => {
  for (let i = 0; i < messageCount; ) {
    const end = writer.appendRun(records, i, messageCount, origin)
    if (end === i) throw new Error(`message ${i} is not plain`)
    for (; i < end; i++) router.route(i)
  }
  rows.finish()
  router.finish()
})

function measure(title, decodeAll) {
  for (let round = 1; round <= ROUNDS; round++) {
    const before = process.cpuUsage()
    decodeAll()
    const { user, system } = process.cpuUsage(before)
    const micros = (user + system) / messageCount
    const megabytesPerSecond = bytes.length / messageCount / micros
    console.log(
      `${title}, round ${round}: ${micros.toFixed(3)} µs CPU a message, ${megabytesPerSecond.toFixed(0)} MB/s`,
    )
  }
}

/** The messages as one record batch without keys and headers. */
function recordView() {
  const nothing = new Int32Array(messageCount).fill(-1)
  const zeros = new Int32Array(messageCount)
  return {
    generation: 0,
    count: messageCount,
    bytes,
    baseOffset: 0n,
    offsetDelta: Int32Array.from({ length: messageCount }, (_, i) => i),
    timestamp: Float64Array.from({ length: messageCount }, (_, i) => 1_790_000_000_000 + i),
    keyStart: nothing,
    keyEnd: nothing,
    valueStart: Int32Array.from(offsets.subarray(0, messageCount)),
    valueEnd: Int32Array.from(offsets.subarray(1)),
    headersStart: zeros,
    headerCount: zeros,
    recordEnd: zeros,
  }
}

/** Messages like those of a shop's click stream, back to back, from a fixed seed. */
function generate(count) {
  const types = ['page_view', 'click', 'purchase', 'signup', 'logout', 'search']
  const firstMs = Date.UTC(2026, 10, 1)
  const parts = []
  const ends = new Uint32Array(count + 1)
  let seed = 42
  const random = () => {
    seed = (seed * 1664525 + 1013904223) >>> 0
    return seed / 0x1_0000_0000
  }
  const below = limit => Math.floor(random() * limit)
  for (let i = 0; i < count; i++) {
    const timestamp = firstMs + i * 37
    const message = Buffer.from(
      JSON.stringify({
        user_id: below(1e6),
        event_type: types[below(types.length)],
        timestamp,
        date: new Date(timestamp).toISOString().slice(0, 10),
        session_id: `${below(0x1_0000_0000).toString(16).padStart(8, '0')}-${below(65536).toString(16)}`,
        amount: below(10_000) / 100,
        url: `https://shop.example.com/products/${below(5000)}?ref=${below(100)}`,
        is_mobile: random() < 0.4,
      }),
    )
    parts.push(message)
    ends[i + 1] = ends[i] + message.length
  }
  return { bytes: Buffer.concat(parts), offsets: ends }
}
