/**
 * Kafka: from the bootstrap servers to the rights on topics and group, what a client meets in the order in which it does.
 *
 * @module
 */
import type { KafkaConfig } from '../config/ingest-config.ts'
import { KafkaError, type StreamIngestError } from '../error.ts'
import { KafkaCluster } from '../kafka/cluster.ts'
import { type BrokerConnection, formatAddress, parseAddress } from '../kafka/connection.ts'
import { ADVERTISED_HINT, isConnectionFailure } from '../kafka/connection-failure.ts'
import { assertMayCommit, countGroupMembers, fetchGroupOffsets } from '../kafka/group-offsets.ts'
import { createKafkaSource, type KafkaSource } from '../kafka/kafka-source.ts'
import {
  assertLed,
  type ClusterDescription,
  describeCluster,
  probeBroker,
  probeListener,
  topicRetentionMs,
} from '../kafka/listener-probe.ts'
import type { RetryPolicy } from '../kafka/retry.ts'
import { formatHours, formatNumberOf } from '../observe/format.ts'
import type { CheckContext, TableFindings } from './check-context.ts'
import type { Checkup, Found, HelpOf } from './checkup.ts'
import { checkOffsets, checkOtherPipelines } from './offset-checks.ts'
import { checkMessages, checkReading } from './reading-checks.ts'

/** Brokers whose advertised address is tried. */
const BROKERS_MAX = 64
/** Problems that one message names. */
const NAMED_MAX = 3
/** A check that asks in several ways, one after the other. */
const STEPS_MAX = 3
/** What fails is to be said, not to be ridden out. */
const NO_RETRY: RetryPolicy = { attemptsMax: 1, baseDelayMs: 1, maxDelayMs: 1 }
/** The first group of a cluster has to wait for its coordinator. */
const GROUP_RETRY: RetryPolicy = { attemptsMax: 5, baseDelayMs: 200, maxDelayMs: 1_000 }
/** A Fetch without data waits at the broker for this long. */
const FETCH_WAIT_MS = 100

/** A right that is missing, with the command of Kafka that grants it. */
export function kafkaHelp({ bootstrapServers, sasl }: KafkaConfig): HelpOf {
  return ({ code, hint, context }) => {
    const { operation, resource, resourceName } = context
    if (code !== 'KAFKA_AUTHORIZATION' || typeof resourceName !== 'string') return hint
    const principal = sasl?.username ?? 'NAME'
    const command = `kafka-acls.sh --bootstrap-server ${bootstrapServers[0]} --add --allow-principal User:${principal} --operation ${operation} --${resource} ${resourceName}`
    return `${hint}: \`${command}\``
  }
}

/** @param table resolves when the table was looked at: to what was found, or why nothing was */
export async function checkKafka(
  checkup: Checkup,
  context: CheckContext,
  table: Promise<TableFindings | string>,
): Promise<void> {
  const config = impatient(context)
  const connection = await checkBootstrap(checkup, config, context)
  if (connection === null) {
    checkup.skip('brokers, topics, rights and offsets', 'no bootstrap server can be used')
    return
  }
  try {
    await checkCluster(checkup, config, context, connection, table)
  } finally {
    await connection.close()
  }
}

/** One attempt for each request, within the time of a check. */
function impatient({ pipeline, timeoutMs }: CheckContext): KafkaConfig {
  const { kafka } = pipeline
  return {
    ...kafka,
    requestTimeoutMs: Math.min(kafka.requestTimeoutMs, timeoutMs),
    fetchMaxWaitMs: Math.min(kafka.fetchMaxWaitMs, FETCH_WAIT_MS),
  }
}

/** Each server by itself: one that works is enough to run, and one that does not is worth knowing. */
async function checkBootstrap(
  checkup: Checkup,
  config: KafkaConfig,
  { fetchUrl, timeoutMs }: CheckContext,
): Promise<BrokerConnection | null> {
  const titles = new Map(config.bootstrapServers.map(server => [server, `connect to ${server}`]))
  const found = await Promise.all(
    [...titles].map(([server, title]) =>
      checkup.run(
        title,
        async signal => ({
          value: await probeListener(server, config, { fetchUrl, signal }),
          message: describeSecurity(config),
        }),
        { timeoutMs: STEPS_MAX * timeoutMs },
      ),
    ),
  )
  const [first, ...others] = found.filter(one => one !== null).map(({ value }) => value)
  await Promise.all(others.map(connection => connection.close()))
  if (first === undefined) return null
  checkup.downgrade(new Set(titles.values()))
  return first
}

function describeSecurity({ securityProtocol, sasl, ssl }: KafkaConfig): string {
  const parts = securityProtocol.endsWith('ssl')
    ? [ssl?.rejectUnauthorized === false ? 'TLS without a look at the certificate' : 'TLS']
    : []
  if (securityProtocol.startsWith('sasl') && sasl !== undefined)
    parts.push(`SASL/${sasl.mechanism.toUpperCase()}`)
  return parts.length === 0 ? 'plaintext' : parts.join(', ')
}

async function checkCluster(
  checkup: Checkup,
  config: KafkaConfig,
  context: CheckContext,
  connection: BrokerConnection,
  table: Promise<TableFindings | string>,
): Promise<void> {
  const found = await checkup.run('cluster', async () => {
    const value = await describeCluster(connection, config.topics)
    return { value, message: `${value.brokers.length} ${value.brokers.length === 1 ? 'broker' : 'brokers'}` }
  })
  if (found === null) return
  const cluster = found.value
  const [isReachable, retentions] = await Promise.all([
    checkAdvertised(checkup, config, context, cluster),
    checkTopics(checkup, cluster, connection),
  ])
  if (!isReachable || retentions === null) {
    const because = isReachable ? 'a topic cannot be described' : 'the brokers cannot be reached'
    checkup.skip('reading, offsets, messages and group', because)
    return
  }
  await Promise.all([
    checkTopicPartitions(checkup, config, context, retentions, table),
    checkGroup(checkup, config, context),
  ])
}

/** Clients go where the metadata says, whatever server they asked first. */
async function checkAdvertised(
  checkup: Checkup,
  config: KafkaConfig,
  { fetchUrl, timeoutMs }: CheckContext,
  { brokers }: ClusterDescription,
): Promise<boolean> {
  const asked = brokers.slice(0, BROKERS_MAX)
  const found = await checkup.run(
    'advertised listeners',
    async signal => {
      const outcomes = await Promise.all(
        asked.map(async broker => {
          const error = await probeBroker(broker, config, { fetchUrl, signal }).catch(
            (thrown: StreamIngestError) => thrown,
          )
          return error === undefined ? [] : [{ broker, error }]
        }),
      )
      const failed = outcomes.flat()
      const server = config.bootstrapServers.map(name => formatAddress(parseAddress(name))).join(', ')
      if (failed.length > 0) throw notReachable(failed, brokers.length, server)
      const addresses = asked.slice(0, NAMED_MAX).map(formatAddress).join(', ')
      return { value: true, message: `${asked.length}/${brokers.length} reached (${addresses})` }
    },
    { timeoutMs: 2 * timeoutMs },
  )
  return found !== null
}

interface UnreachableBroker {
  readonly broker: ClusterDescription['brokers'][number]
  readonly error: StreamIngestError
}

function notReachable(
  failed: readonly UnreachableBroker[],
  brokerCount: number,
  bootstrap: string,
): StreamIngestError {
  // A broker that is there and refuses, as by its certificate: what it says is what is wrong.
  const refusing = failed.find(({ error }) => !isConnectionFailure(error))
  if (refusing !== undefined) return refusing.error
  const named = failed
    .slice(0, NAMED_MAX)
    .map(
      ({ broker, error }) =>
        `broker ${broker.nodeId} advertises \`${formatAddress(broker)}\` (${error.message})`,
    )
  const more = failed.length > NAMED_MAX ? `; and ${failed.length - NAMED_MAX} more` : ''
  return new KafkaError(
    'KAFKA_ADVERTISED_LISTENER',
    `${failed.length} of ${brokerCount} brokers cannot be reached, although ${bootstrap} can: ${named.join('; ')}${more}`,
    {
      hint: ADVERTISED_HINT,
      context: { address: formatAddress(failed[0]!.broker) },
    },
  )
}

/** Retention in milliseconds by topic (as {@link topicRetentionMs}); null where a topic is not there. */
async function checkTopics(
  checkup: Checkup,
  { topics }: ClusterDescription,
  connection: BrokerConnection,
): Promise<ReadonlyMap<string, number | null | undefined> | null> {
  const retentions = new Map<string, number | null | undefined>()
  const found = await Promise.all(
    [...topics].map(([name, topic]) =>
      checkup.run(`topic ${name}`, async () => {
        if (topic instanceof KafkaError) throw topic
        assertLed(topic)
        const retentionMs = await topicRetentionMs(connection, name)
        retentions.set(name, retentionMs)
        const { partitionCount } = topic
        const partitions = `${partitionCount} ${partitionCount === 1 ? 'partition' : 'partitions'}`
        const retention =
          retentionMs === undefined
            ? ''
            : retentionMs === null
              ? ', kept for ever'
              : `, retention ${formatHours(retentionMs)}`
        return { value: topic, message: partitions + retention }
      }),
    ),
  )
  return found.every(one => one !== null) ? retentions : null
}

async function checkTopicPartitions(
  checkup: Checkup,
  config: KafkaConfig,
  context: CheckContext,
  retentions: ReadonlyMap<string, number | null | undefined>,
  table: Promise<TableFindings | string>,
): Promise<void> {
  const openSource = (): KafkaSource => createKafkaSource(config, sourceOptions(context))
  const reading = await checkReading(checkup, openSource, context)
  const findings = await table
  try {
    if (reading === null || typeof findings === 'string') {
      const because = reading === null ? 'the topics cannot be read' : String(findings)
      checkup.skip('offsets and messages', because)
      return
    }
    await checkOffsets(checkup, reading, context, retentions, findings)
    await checkOtherPipelines(checkup, reading, context, findings)
    await checkMessages(checkup, reading, context, findings)
  } finally {
    await reading?.source.close()
  }
}

const sourceOptions = ({ runtime, fetchUrl }: CheckContext) => ({ runtime, retry: NO_RETRY, fetchUrl })

/** The table holds the offsets; the group's are for those who watch from Kafka's side. */
async function checkGroup(checkup: Checkup, config: KafkaConfig, context: CheckContext): Promise<void> {
  const { consumerGroup, topics } = config
  await checkup.run(
    `group ${consumerGroup}`,
    async (signal): Promise<Found<null>> => {
      const cluster = new KafkaCluster(config, { ...sourceOptions(context), retry: GROUP_RETRY })
      const end = (): void => void cluster.close()
      signal.addEventListener('abort', end, { once: true })
      try {
        await cluster.refresh()
        const targets = topics.map(topic => ({ topic, topicId: '', partition: 0 }))
        await fetchGroupOffsets(cluster, consumerGroup, targets)
        await assertMayCommit(cluster, consumerGroup, topics[0]!)
        const memberCount = (await countGroupMembers(cluster, consumerGroup)) ?? 0
        if (memberCount === 0) return { value: null, message: 'may describe and commit' }
        const message = `${formatNumberOf(memberCount, 'consumer')} of another kind ${memberCount === 1 ? 'is a member' : 'are members'} of the group: the broker takes no offsets of this pipeline for it`
        return { value: null, warning: { code: 'KAFKA_GROUP_IN_USE', message } }
      } finally {
        await cluster.close()
      }
    },
    { isOptional: true, timeoutMs: STEPS_MAX * context.timeoutMs },
  )
}
