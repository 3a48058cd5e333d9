/**
 * `npm run bench`: from a topic on real Kafka to a committed table on a real S3 server, in figures.
 *
 *     npm run bench -- [--count 1000000] [--runs 3] [--codec lz4] [--compression snappy] [--batch-size 1000000]
 *
 * Each run is a process of its own; figures are medians with the range. The split: decoding and encoding by the process's
 * CPU clock around them; fetching by a process that only fetches; upload and commit are what is left.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { CompressionCodec } from '../packages/stream-ingest/src/kafka/compression.ts'
import type { EncodableRecord } from '../packages/stream-ingest/src/kafka/record-batch-encoder.ts'
import { generateMessages } from '../packages/stream-ingest/src/testing/generate-messages.ts'
import { KafkaProducer } from '../scripts/kafka-producer.ts'
import type { BenchSettings } from './config.ts'
import type { Figures } from './ingest.ts'

const PARTITIONS = 4

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '3' },
    codec: { type: 'string', default: 'lz4' },
    compression: { type: 'string', default: 'snappy' },
    'batch-size': { type: 'string', default: '1000000' },
  },
})
const count = Number(values.count)
const runs = Number(values.runs)
const kafka = process.env.SI_TEST_KAFKA
if (kafka === undefined)
  throw new Error('run this through `npm run bench`, which starts Kafka and an S3 server')

async function measure(mode: 'ingest' | 'fetch', settings: BenchSettings): Promise<Figures> {
  const script = fileURLToPath(new URL('./ingest.ts', import.meta.url))
  const child = spawn(process.execPath, ['--conditions=source', script, mode, JSON.stringify(settings)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', chunk => {
    text += chunk
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`the measured process ended with exit code ${code}`)
  return JSON.parse(text) as Figures
}

function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}

function line(name: string, numbers: readonly number[], unit: string, digits = 2): void {
  const range = `${Math.min(...numbers).toFixed(digits)}–${Math.max(...numbers).toFixed(digits)}`
  process.stdout.write(
    `${name.padEnd(34)}${median(numbers).toFixed(digits).padStart(12)}  ${unit.padEnd(14)} ${range}\n`,
  )
}

function* countedMessages(): Generator<EncodableRecord> {
  for (const { key, value, timestampMs } of generateMessages({ seed: 1, count })) {
    bytes += value.length
    yield { key, value, timestampMs }
  }
}

const topic = `bench-${Date.now()}`
const producer = await KafkaProducer.connect(kafka)
await producer.createTopic(topic, PARTITIONS)
let bytes = 0
await producer.fill(topic, PARTITIONS, countedMessages(), { codec: values.codec as CompressionCodec })
await producer.close()

process.stdout.write(
  `${count.toLocaleString('en-US')} messages of ${(bytes / count).toFixed(0)} B, ${PARTITIONS} partitions, ${values.codec} topic → ${values.compression} Parquet, commits of ${Number(values['batch-size']).toLocaleString('en-US')}\n`,
)
process.stdout.write(
  `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.versions.node}, ${runs} runs: median, unit, range\n\n`,
)

const ingests: Figures[] = []
const fetches: Figures[] = []
for (let run = 0; run < runs; run++) {
  const settings = {
    kafka,
    topic,
    lake: `bench/${topic}/${run}`,
    batchSize: Number(values['batch-size']),
    compression: values.compression,
  }
  ingests.push(await measure('ingest', settings))
  fetches.push(await measure('fetch', settings))
}
for (const { messages } of [...ingests, ...fetches]) {
  if (messages !== count) throw new Error(`${messages} of ${count} messages were read`)
}

const perMessage = (ms: number): number => (ms * 1000) / count
const fetchCpu = median(fetches.map(f => perMessage(f.workCpuMs)))
line(
  'messages per second',
  ingests.map(f => (count / f.wallMs) * 1000),
  '1/s',
  0,
)
line(
  'MB per second (JSON)',
  ingests.map(f => bytes / 1e6 / (f.wallMs / 1000)),
  'MB/s',
  1,
)
line(
  'CPU per message, whole process',
  ingests.map(f => perMessage(f.cpuMs)),
  'µs',
)
line(
  '  start-up',
  ingests.map(f => perMessage(f.cpuMs - f.workCpuMs)),
  'µs',
)
line(
  '  fetch (process that only fetches)',
  fetches.map(f => perMessage(f.workCpuMs)),
  'µs',
)
line(
  '  decode (decompress, scan, route)',
  ingests.map(f => perMessage(f.decodeCpuMs)),
  'µs',
)
line(
  '  encode (gather, Parquet, stats)',
  ingests.map(f => perMessage(f.encodeCpuMs)),
  'µs',
)
line(
  '  upload and commit (the rest)',
  ingests.map(f => perMessage(f.workCpuMs - f.decodeCpuMs - f.encodeCpuMs) - fetchCpu),
  'µs',
)
line(
  'peak RSS',
  ingests.map(f => f.peakRssBytes / 2 ** 20),
  'MiB',
  0,
)
line(
  'commits',
  ingests.map(f => f.commits),
  '',
  0,
)
line(
  'files',
  ingests.map(f => f.files),
  '',
  0,
)
line(
  'bytes written',
  ingests.map(f => f.bytesWritten / 2 ** 20),
  'MiB',
  1,
)
