/**
 * `npm run broker`: the embedded Kafka broker as a process, for trying things without Java or a container. In memory: what it
 * holds is gone with it.
 *
 * @module
 */
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { StreamIngestError } from '../packages/stream-ingest/src/error.ts'
import { EmbeddedBroker } from '../packages/stream-ingest/src/testing/embedded-broker.ts'

const USAGE = 'usage: npm run broker -- [--port 9092] [--topic user-events] [--partitions 4]\n'
const EXIT_FAILURE = 1
const EXIT_USAGE = 64

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      port: { type: 'string', default: '9092' },
      topic: { type: 'string', default: 'user-events' },
      partitions: { type: 'string', default: '4' },
    },
  })
  if (positionals.length > 0 || ![values.port, values.partitions].every(text => /^\d{1,5}$/.test(text))) {
    process.stderr.write(USAGE)
    return EXIT_USAGE
  }
  const broker = await EmbeddedBroker.start({
    port: Number(values.port),
    topics: [{ name: values.topic, partitions: Number(values.partitions) }],
  })
  process.stdout.write(
    `a Kafka broker in memory at ${broker.bootstrapServers} with the topic ${values.topic}, until Ctrl-C\n`,
  )
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')])
  await broker.close()
  return 0
}

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof StreamIngestError)) throw error
  process.stderr.write(`error: ${error.message}\n  = help: ${error.hint}\n`)
  process.exitCode = EXIT_FAILURE
}
