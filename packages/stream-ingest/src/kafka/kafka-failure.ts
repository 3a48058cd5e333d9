/**
 * What a broker answers, as errors of ours.
 *
 * @module
 */
import { protocolErrors, protocolErrorsCodesById } from '@platformatic/kafka'
import { KafkaError, StreamIngestError } from '../error.ts'
import { suggestTopic } from './topic-suggestion.ts'

/** The broker's code as the name that Kafka's documentation uses. */
export function protocolErrorName(errorCode: number): string {
  return protocolErrorsCodesById[errorCode] ?? `error ${errorCode}`
}

/** What a broker answers about a topic that is not there. */
const MISSING_TOPIC: ReadonlySet<string> = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION'])

/** Errors that say "ask the metadata again": the leader moved, or is being elected. */
const STALE_METADATA: ReadonlySet<string> = new Set([
  'NOT_LEADER_OR_FOLLOWER',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'LEADER_NOT_AVAILABLE',
  'REPLICA_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
  'OFFSET_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'UNKNOWN_TOPIC_ID',
  'INCONSISTENT_TOPIC_ID',
])

export function isStaleMetadata(errorCode: number): boolean {
  return STALE_METADATA.has(protocolErrorName(errorCode))
}

/** May the same request succeed a little later? */
export function isRetryableProtocolError(errorCode: number): boolean {
  if (isStaleMetadata(errorCode)) return true
  return protocolErrors[protocolErrorName(errorCode)]?.canRetry ?? false
}

const AUTHORIZATION: ReadonlySet<string> = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
])

/** The right that an operator would grant. */
export type KafkaRight =
  | { readonly operation: 'Read' | 'Describe'; readonly resource: 'topic'; readonly name: string }
  | { readonly operation: 'Read' | 'Describe'; readonly resource: 'group'; readonly name: string }

/**
 * An error code of a response.
 * @param place what it is about: `topic \`orders\``, `\`orders-3\``
 */
export function protocolError(errorCode: number, place: string, right: KafkaRight): KafkaError {
  const name = protocolErrorName(errorCode)
  const context = { errorCode, errorName: name, place }
  if (AUTHORIZATION.has(name)) {
    const wanted = `\`${right.operation}\` on ${right.resource} \`${right.name}\``
    return new KafkaError('KAFKA_AUTHORIZATION', `the broker denied ${wanted}: ${name}`, {
      hint: `grant ${wanted} to this principal`,
      context: { ...context, operation: right.operation, resource: right.resource, resourceName: right.name },
    })
  }
  return new KafkaError('KAFKA_PROTOCOL', `the broker answered ${name} for ${place}`, {
    retryable: isRetryableProtocolError(errorCode),
    context,
  })
}

/**
 * What the metadata says of a topic that it does not describe.
 * @param existing names of the topics that there are, asked for a suggestion only
 */
export async function topicError(
  errorCode: number,
  name: string,
  existing: () => Promise<readonly string[]>,
): Promise<KafkaError> {
  const error = protocolError(errorCode, `topic \`${name}\``, {
    operation: 'Describe',
    resource: 'topic',
    name,
  })
  if (!MISSING_TOPIC.has(String(error.context.errorName))) return error
  // A suggestion is worth one request; without the right to list, there is none.
  const suggestion = suggestTopic(name, await existing().catch(() => []))
  const hint = suggestion === null ? {} : { hint: `did you mean \`${suggestion}\`?` }
  return new KafkaError(
    'KAFKA_TOPIC_NOT_FOUND',
    `topic \`${name}\` does not exist, or may not be described`,
    { ...hint, context: { topic: name, suggestion } },
  )
}

/** Nobody leads the partition: its replicas are down, or an election is under way. */
export function noLeader(topic: string, partition: number): KafkaError {
  return new KafkaError('KAFKA_NO_LEADER', `\`${topic}-${partition}\` has no leader`, {
    context: { topic, partition },
  })
}

/**
 * May the same attempt succeed a little later? A topic that is not found may: brokers learn of a new topic, and after
 * a restart of all of them, one after the other.
 */
export function mayPass(error: unknown): boolean {
  if (!(error instanceof StreamIngestError)) return false
  return error.isRetryable() || error.code === 'KAFKA_TOPIC_NOT_FOUND'
}
