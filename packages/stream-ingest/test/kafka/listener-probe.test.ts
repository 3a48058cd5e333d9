import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KafkaError } from '../../src/error.ts'
import type { BrokerConnection } from '../../src/kafka/connection.ts'
import { assertLed, describeCluster } from '../../src/kafka/listener-probe.ts'

const LEADER_NOT_AVAILABLE = 5
const TOPIC_AUTHORIZATION_FAILED = 29

/** A connection whose broker knows these topics. */
function connectionTo(topics: readonly object[]): BrokerConnection {
  const request = async (): Promise<object> => ({
    brokers: [{ nodeId: 1, host: 'one', port: 9092, rack: null }],
    topics,
  })
  return { request } as unknown as BrokerConnection
}

const topic = (name: string, errorCode: number, leaders: readonly number[] = []): object => ({
  errorCode,
  name,
  topicId: `id of ${name}`,
  isInternal: false,
  partitions: leaders.map((leaderId, partitionIndex) => ({
    errorCode: leaderId < 0 ? LEADER_NOT_AVAILABLE : 0,
    partitionIndex,
    leaderId,
  })),
})

test('says which partitions nobody leads', async () => {
  const { topics } = await describeCluster(connectionTo([topic('events', 0, [1, -1, 2, -1])]), ['events'])
  const events = topics.get('events')
  assert(events !== undefined && !(events instanceof KafkaError))
  assert.deepEqual(events.leaderless, [1, 3])
  assert.throws(
    () => assertLed(events),
    (error: KafkaError) => {
      assert.equal(error.code, 'KAFKA_NO_LEADER')
      assert.match(error.message, /^`events-1` has no leader$/)
      return error.isRetryable()
    },
  )
})

test('says of each topic by itself why it is not described', async () => {
  const answered = [topic('events', 0, [1]), topic('secret', TOPIC_AUTHORIZATION_FAILED)]
  const { topics, brokers } = await describeCluster(connectionTo(answered), ['events', 'secret'])
  assert.deepEqual(brokers, [{ nodeId: 1, host: 'one', port: 9092 }])
  assert(!(topics.get('events') instanceof KafkaError))
  const secret = topics.get('secret')
  assert(secret instanceof KafkaError && secret.code === 'KAFKA_AUTHORIZATION')
})
