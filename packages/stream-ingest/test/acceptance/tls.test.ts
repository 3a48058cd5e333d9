import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import type { EncodableRecord } from '../../src/kafka/record-batch-encoder.ts'
import { ingest } from './ingest-process.ts'
import { readBoth } from './lake-table.ts'
import { openScene, skip } from './real-parts.ts'

const openTestScene = openScene()
const PARTITIONS = 3
const MESSAGES = 60_000
const FIRST_MS = Date.UTC(2026, 0, 1)

/** Messages of 300 bytes of the example's schema, their user ids counted from 1. */
function* events(): Generator<EncodableRecord, void, undefined> {
  for (let id = 1; id <= MESSAGES; id++) {
    const timestampMs = FIRST_MS + id
    const value = `{"user_id":${id},"event_type":"${'e'.repeat(250)}","timestamp":${timestampMs}}`
    yield { value, timestampMs }
  }
}

describe('a drain of many responses over TLS', { skip }, () => {
  for (const [what, codec, workers] of [
    ['uncompressed, on the main thread', 'none', 0],
    ['uncompressed, on threads', 'none', 2],
    ['lz4, on the main thread', 'lz4', 0],
  ] as const) {
    test(`brings each message once: ${what}`, async () => {
      const { producer, configFile } = await openTestScene()
      const topic = `tls-${randomUUID()}`
      const table = `tls_${codec}_${workers}`
      await producer.createTopic(topic, PARTITIONS)
      await producer.fill(topic, PARTITIONS, events(), { codec })
      const kafka = {
        bootstrap_servers: process.env.SI_TEST_KAFKA_SSL,
        security_protocol: 'ssl',
        ssl: { ca: readFileSync(process.env.SI_TEST_KAFKA_AUTHORITY ?? '', 'utf8') },
        // Many responses, each of several pieces of the socket.
        fetch_max_bytes: 1024 * 1024,
      }
      const run = await ingest(configFile({ topic, table, kafka, processing: { workers } }))
      assert.equal(run.metrics.rows, MESSAGES)
      for (const { engine, rowCount, columns } of await readBoth(table)) {
        const sum = String((MESSAGES * (MESSAGES + 1)) / 2)
        assert.deepEqual([engine, rowCount, columns.user_id?.sum], [engine, MESSAGES, sum])
      }
    })
  }
})
