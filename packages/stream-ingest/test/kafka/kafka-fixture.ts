import { setTimeout as sleep } from 'node:timers/promises'
import type { KafkaConfig } from '../../src/config/ingest-config.ts'
import type { KafkaRuntime } from '../../src/kafka/retry.ts'

let seed = 1

/** Real time: sockets need it. Randomness repeats (a linear congruential generator). */
export const testRuntime: KafkaRuntime = {
  now: Date.now,
  random: () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  },
  delay: async (ms, signal) => {
    await sleep(ms, undefined, signal === undefined ? {} : { signal })
  },
}

/** Patience of tests: failures show within half a second. */
export const TEST_RETRY = { attemptsMax: 6, baseDelayMs: 5, maxDelayMs: 40 }

export function kafkaConfig(
  bootstrapServers: string,
  topic: string,
  overrides: Partial<KafkaConfig> = {},
): KafkaConfig {
  return {
    bootstrapServers: [bootstrapServers],
    topics: [topic],
    consumerGroup: 'test-group',
    autoOffsetReset: 'earliest',
    onOffsetOutOfRange: 'fail',
    assignment: 'all',
    isolationLevel: 'read_committed',
    securityProtocol: 'plaintext',
    clientId: 'test-client',
    fetchMinBytes: 1,
    fetchMaxBytes: 50 * 1024 * 1024,
    fetchMaxPartitionBytes: 1024 * 1024,
    fetchMaxWaitMs: 50,
    sessionTimeoutMs: 45_000,
    rebalanceTimeoutMs: 60_000,
    requestTimeoutMs: 5000,
    ...overrides,
  }
}
