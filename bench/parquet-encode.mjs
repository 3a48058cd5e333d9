// The Parquet encoder alone: 1,000,000 rows of 8 columns (a long, 4 strings, a timestamp, a double, a boolean).
// Run: node --conditions=source bench/parquet-encode.mjs [rows]
import { createParquetEncoder, field, primitive, struct } from '@stream-ingest/delta'
import { BatchBuilder } from '@stream-ingest/delta/column'

const ROWS = Number(process.argv[2] ?? 1_000_000)
const ROUNDS = 5

const schema = struct([
  field('user_id', primitive('long')),
  field('event_type', primitive('string')),
  field('timestamp', primitive('timestamp')),
  field('date', primitive('string')),
  field('session_id', primitive('string')),
  field('amount', primitive('double')),
  field('url', primitive('string')),
  field('is_mobile', primitive('boolean')),
])

function userEvents(rowCount) {
  const builder = new BatchBuilder(schema)
  const [userId, eventType, timestamp, date, sessionId, amount, url, isMobile] = builder.columns
  const eventTypes = ['page_view', 'click', 'purchase', 'signup', 'logout', 'search']
  const start = Date.UTC(2026, 10, 1)
  let seed = 42
  const random = () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return seed / 2 ** 32
  }
  const hex = (limit, digits) =>
    Math.floor(random() * limit)
      .toString(16)
      .padStart(digits, '0')
  for (let i = 0; i < rowCount; i++) {
    const ms = start + i * 37
    userId.appendNumber(Math.floor(random() * 1e6))
    eventType.appendString(eventTypes[Math.floor(random() * eventTypes.length)])
    timestamp.appendNumber(ms * 1000)
    date.appendString(new Date(ms).toISOString().slice(0, 10))
    sessionId.appendString(`${hex(2 ** 32, 8)}-${hex(2 ** 16, 4)}`)
    amount.append(Math.round(random() * 10_000) / 100)
    url.appendString(
      `https://shop.example.com/products/${Math.floor(random() * 5000)}?ref=${Math.floor(random() * 100)}`,
    )
    isMobile.append(random() < 0.4)
    builder.endRow()
  }
  return builder.finish()
}

const batch = userEvents(ROWS)
const encoder = createParquetEncoder()
const variants = [
  { codec: 'none' },
  { codec: 'snappy' },
  { codec: 'lz4_raw' },
  { codec: 'zstd', compressionLevel: 1 },
  { codec: 'zstd' },
  { codec: 'gzip' },
]
console.log(`${ROWS} rows, ${batch.columns.length} columns, best of ${ROUNDS}`)
console.log('codec            CPU µs/row   wall µs/row   bytes/row')
for (const options of variants) {
  const rounds = []
  for (let round = 0; round < ROUNDS; round++) {
    const cpu = process.cpuUsage()
    const wall = performance.now()
    const { bytes } = encoder.encode(batch, options)
    const wallUs = (performance.now() - wall) * 1000
    const { user, system } = process.cpuUsage(cpu)
    rounds.push({ cpuUs: user + system, wallUs, sizeBytes: bytes.length })
  }
  const best = rounds.reduce((a, b) => (b.cpuUs < a.cpuUs ? b : a))
  const name =
    options.compressionLevel === undefined ? options.codec : `${options.codec} (${options.compressionLevel})`
  console.log(
    name.padEnd(17) +
      (best.cpuUs / ROWS).toFixed(3).padStart(10) +
      (best.wallUs / ROWS).toFixed(3).padStart(14) +
      (best.sizeBytes / ROWS).toFixed(1).padStart(12),
  )
}
