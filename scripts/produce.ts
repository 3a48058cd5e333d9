/**
 * `npm run produce -- TOPIC`: puts messages into a topic of the broker that `npm run stack -- up` started, for trying
 * things. Each line of stdin is the value of one message; with `--count` they are generated user events. The topic is made
 * where it is missing.
 *
 * @module
 */
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { Admin } from '@platformatic/kafka'
import type { EncodableRecord } from '../packages/stream-ingest/src/kafka/record-batch-encoder.ts'
import { generateMessages } from '../packages/stream-ingest/src/testing/generate-messages.ts'
import { KafkaProducer } from './kafka-producer.ts'
import { runCommand } from './stack/installation.ts'

const USAGE = `usage: npm run produce -- TOPIC [--partitions 4] [--count N] [--kafka HOST:PORT]
  each line of stdin is one message; with --count they are generated user events
  --partitions is for a topic that does not exist yet
  --kafka: in place of KAFKA of the environment, else of the broker of \`npm run stack -- up\`
`
const PARTITIONS_DEFAULT = '4'
const EXIT_USAGE = 64
const EXIT_UNAVAILABLE = 69
/** Everything is in memory at once. */
const LINES_MAX = 1_000_000

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      partitions: { type: 'string', default: PARTITIONS_DEFAULT },
      count: { type: 'string' },
      kafka: { type: 'string' },
    },
  })
  const [topic, extra] = positionals
  const numbers = [values.partitions, values.count ?? '0']
  if (topic === undefined || extra !== undefined || !numbers.every(text => /^\d{1,9}$/.test(text))) {
    process.stderr.write(USAGE)
    return EXIT_USAGE
  }
  const kafka = values.kafka ?? process.env.KAFKA ?? (await brokerOfStack())
  if (kafka === undefined) {
    process.stderr.write('error: no broker is named, and none is running; `npm run stack -- up` starts one\n')
    return EXIT_UNAVAILABLE
  }
  const records =
    values.count === undefined ? await linesOf(process.stdin) : eventsUntilNow(Number(values.count))
  const counts = await produce(kafka, topic, Number(values.partitions), records)
  const total = counts.reduce((sum, count) => sum + count, 0)
  process.stdout.write(`${total} messages to ${topic}, in ${counts.length} partitions\n`)
  return 0
}

async function produce(
  kafka: string,
  topic: string,
  partitions: number,
  records: Iterable<EncodableRecord>,
): Promise<readonly number[]> {
  const admin = new Admin({ clientId: 'stream-ingest-produce', bootstrapBrokers: [kafka] })
  const producer = await KafkaProducer.connect(kafka)
  try {
    const isNew = !(await admin.listTopics()).includes(topic)
    if (isNew) await producer.createTopic(topic, partitions)
    const found = await admin.metadata({ topics: [topic] })
    return await producer.fill(topic, found.topics.get(topic)?.partitionsCount ?? partitions, records)
  } finally {
    await producer.close()
    await admin.close()
  }
}

/** Four a second, the last one now. The seed is the time, so that a second call makes other events. */
function eventsUntilNow(count: number): Iterable<EncodableRecord> {
  const now = Date.now()
  const intervalMs = 250
  return generateMessages({
    seed: now % 2 ** 31,
    count,
    intervalMs,
    startTimestampMs: now - count * intervalMs,
  })
}

/** Empty lines are left out. */
async function linesOf(input: NodeJS.ReadableStream): Promise<EncodableRecord[]> {
  const records: EncodableRecord[] = []
  for await (const value of createInterface({ input })) {
    if (value.trim() === '') continue
    if (records.length === LINES_MAX) throw new Error(`more than ${LINES_MAX} lines: send them in parts`)
    records.push({ value, timestampMs: Date.now() })
  }
  return records
}

async function brokerOfStack(): Promise<string | undefined> {
  const { stdout } = await runCommand('node', ['scripts/stack.ts', 'status', '--env'])
  return /^export KAFKA='(.+)'$/m.exec(stdout)?.[1]
}

process.exitCode = await main(process.argv.slice(2))
