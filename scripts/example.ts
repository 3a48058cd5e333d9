/**
 * `npm run example`: the example on the parts that `npm run stack -- up` started. Fills its topic with generated user
 * events, the first time or where `--count` says how many, and ingests what is new.
 *
 * @module
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Admin } from '@platformatic/kafka'
import { generateMessages } from '../packages/stream-ingest/src/testing/generate-messages.ts'
import { Foreground } from './foreground.ts'
import { KafkaProducer } from './kafka-producer.ts'
import { runCommand } from './stack/installation.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CONFIG_FILE = 'examples/user-events/stream-ingest.yaml'
/** As the configuration says. */
const TOPIC = 'user-events'
const PARTITIONS = 4
const COUNT_DEFAULT = 200_000
const SEED = 20_261_122
const EXIT_UNAVAILABLE = 69

async function main(argv: readonly string[]): Promise<number> {
  process.chdir(ROOT)
  const { values } = parseArgs({ args: [...argv], options: { count: { type: 'string' } } })
  const stack = await runningStack()
  const { KAFKA: kafka, AWS_ENDPOINT_URL_S3: endpoint } = stack
  if (kafka === undefined || endpoint === undefined) {
    process.stderr.write(
      'error: Kafka and the S3 server are not running; `npm run stack -- up` starts them\n',
    )
    return EXIT_UNAVAILABLE
  }
  await fillTopic(kafka, values.count === undefined ? undefined : Number(values.count))
  const env = { ...process.env, ...stack }
  return new Foreground().run('stream-ingest', ['run', CONFIG_FILE, '--until-latest'], env)
}

/** What `stack status --env` prints, one `export NAME='value'` a line. */
async function runningStack(): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await runCommand('node', ['scripts/stack.ts', 'status', '--env'])
  return Object.fromEntries([...stdout.matchAll(/^export (\w+)='(.*)'$/gm)].map(found => found.slice(1, 3)))
}

async function fillTopic(kafka: string, wanted: number | undefined): Promise<void> {
  const admin = new Admin({ clientId: 'stream-ingest-example', bootstrapBrokers: [kafka] })
  const producer = await KafkaProducer.connect(kafka)
  try {
    const isNew = !(await admin.listTopics()).includes(TOPIC)
    if (isNew) await producer.createTopic(TOPIC, PARTITIONS)
    const count = wanted ?? (isNew ? COUNT_DEFAULT : 0)
    if (count > 0) await producer.fill(TOPIC, PARTITIONS, generateMessages({ seed: SEED, count }))
    process.stderr.write(`${count} messages added to ${TOPIC}\n`)
  } finally {
    await producer.close()
    await admin.close()
  }
}

process.exitCode = await main(process.argv.slice(2))
