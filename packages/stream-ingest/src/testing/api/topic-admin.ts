/**
 * CreateTopics, DeleteTopics, CreatePartitions and DeleteRecords.
 *
 * @module
 */
import { type Api, type BrokerContext, NO_THROTTLE } from '../api.ts'
import { type TopicProblem, topicError } from '../cluster.ts'
import { faultCode } from '../fault.ts'
import { API_KEYS, PROTOCOL_ERRORS, type ProtocolErrorCode } from '../protocol-error.ts'
import { ZERO_UUID } from '../wire.ts'

/** What a client gets that leaves the number of partitions to the broker (-1). */
const DEFAULT_PARTITION_COUNT = 1
/** Offset of DeleteRecords that stands for the log end. */
const HIGH_WATERMARK = -1n

const PROBLEM_CODES: Record<TopicProblem, ProtocolErrorCode> = {
  'invalid-name': PROTOCOL_ERRORS.INVALID_TOPIC_EXCEPTION,
  exists: PROTOCOL_ERRORS.TOPIC_ALREADY_EXISTS,
  missing: PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION,
  'invalid-partition-count': PROTOCOL_ERRORS.INVALID_PARTITIONS,
  'too-many-topics': PROTOCOL_ERRORS.POLICY_VIOLATION,
}

interface AdminResult {
  readonly errorCode: ProtocolErrorCode
  readonly errorMessage: string | null
}

function resultOf(problem: TopicProblem | null, topic: string): AdminResult {
  if (problem === null) return { errorCode: PROTOCOL_ERRORS.NONE, errorMessage: null }
  return { errorCode: PROBLEM_CODES[problem], errorMessage: topicError(problem, topic).message }
}

/*
  CreateTopics Request (Version: 2 - 7) => [topics] timeout_ms validate_only TAG_BUFFER(5+)
    topics => name num_partitions replication_factor [assignments] [configs] TAG_BUFFER(5+)
      name => STRING
      num_partitions => INT32
      replication_factor => INT16
      assignments => partition_index [broker_ids] TAG_BUFFER(5+)     in place of num_partitions
      configs => name value TAG_BUFFER(5+)                           accepted, without effect
    timeout_ms => INT32
    validate_only => BOOLEAN

  CreateTopics Response (Version: 2 - 7) => throttle_time_ms [topics] TAG_BUFFER(5+)
    topics => name topic_id(7+) error_code error_message num_partitions(5+) replication_factor(5+) [configs](5+)
              TAG_BUFFER(5+)
*/
export const createTopicsApi: Api = {
  name: 'CreateTopics',
  key: API_KEYS.CreateTopics,
  minVersion: 2,
  maxVersion: 7,
  flexibleFrom: 5,
  handle({ version, reader, response, fault }, broker) {
    const topics = reader.array(() => {
      const name = reader.string()
      const partitionCount = reader.int32()
      reader.int16()
      const assignments = reader.array(() => {
        reader.int32()
        reader.array(() => reader.int32())
        reader.skipTags()
      })
      reader.array(() => {
        reader.string()
        reader.nullableString()
        reader.skipTags()
      })
      reader.skipTags()
      const wanted = assignments.length > 0 ? assignments.length : partitionCount
      return { name, partitionCount: wanted === -1 ? DEFAULT_PARTITION_COUNT : wanted }
    })
    reader.int32()
    const validateOnly = reader.boolean()
    reader.skipTags()

    response.int32(NO_THROTTLE)
    response.array(topics, ({ name, partitionCount }) => {
      const ordered = faultCode(fault, name)
      const problem = broker.cluster.checkNewTopic(name, partitionCount)
      const result = ordered === 0 ? resultOf(problem, name) : { errorCode: ordered, errorMessage: null }
      const isCreated = result.errorCode === 0 && !validateOnly
      const topic = isCreated ? broker.cluster.createTopic(name, partitionCount) : undefined
      response.string(name)
      if (version >= 7) response.uuid(topic?.topicId ?? ZERO_UUID)
      response.int16(result.errorCode).string(result.errorMessage)
      if (version >= 5) {
        response.int32(result.errorCode === 0 ? partitionCount : -1).int16(result.errorCode === 0 ? 1 : -1)
        response.array([], () => {})
      }
      response.tags()
    })
    response.tags()
    return 'respond'
  },
}

/*
  DeleteTopics Request (Version: 1 - 6) => [topics](6+) [topic_names](-5) timeout_ms TAG_BUFFER(4+)
    topics => name topic_id TAG_BUFFER
      name => NULLABLE_STRING
      topic_id => UUID

  DeleteTopics Response (Version: 1 - 6) => throttle_time_ms [responses] TAG_BUFFER(4+)
    responses => name topic_id(6+) error_code error_message(5+) TAG_BUFFER(4+)
*/
export const deleteTopicsApi: Api = {
  name: 'DeleteTopics',
  key: API_KEYS.DeleteTopics,
  minVersion: 1,
  maxVersion: 6,
  flexibleFrom: 4,
  handle({ version, reader, response, fault }, broker) {
    const topics = reader.array(() => {
      if (version <= 5) return { name: reader.string(), topicId: ZERO_UUID }
      const wanted = { name: reader.nullableString(), topicId: reader.uuid() }
      reader.skipTags()
      return wanted
    })
    reader.int32()
    reader.skipTags()

    response.int32(NO_THROTTLE)
    response.array(topics, wanted => {
      const topic =
        wanted.name === null ? broker.cluster.topicById(wanted.topicId) : broker.cluster.topic(wanted.name)
      const missing =
        wanted.name === null ? PROTOCOL_ERRORS.UNKNOWN_TOPIC_ID : PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION
      const name = topic?.name ?? wanted.name
      const errorCode = faultCode(fault, name ?? undefined) || (topic === undefined ? missing : 0)
      if (errorCode === 0 && topic !== undefined) broker.cluster.deleteTopic(topic.name)
      response.string(version >= 6 ? name : (name ?? ''))
      if (version >= 6) response.uuid(topic?.topicId ?? wanted.topicId)
      response.int16(errorCode)
      if (version >= 5) response.string(null)
      response.tags()
    })
    response.tags()
    return 'respond'
  },
}

/*
  CreatePartitions Request (Version: 0 - 3) => [topics] timeout_ms validate_only TAG_BUFFER(2+)
    topics => name count [assignments] TAG_BUFFER(2+)
      count => INT32     the new total
      assignments => [broker_ids] TAG_BUFFER(2+)     nullable

  CreatePartitions Response (Version: 0 - 3) => throttle_time_ms [results] TAG_BUFFER(2+)
    results => name error_code error_message TAG_BUFFER(2+)
*/
export const createPartitionsApi: Api = {
  name: 'CreatePartitions',
  key: API_KEYS.CreatePartitions,
  minVersion: 0,
  maxVersion: 3,
  flexibleFrom: 2,
  handle({ reader, response, fault }, broker) {
    const topics = reader.array(() => {
      const name = reader.string()
      const count = reader.int32()
      reader.nullableArray(() => {
        reader.array(() => reader.int32())
        reader.skipTags()
      })
      reader.skipTags()
      return { name, count }
    })
    reader.int32()
    const validateOnly = reader.boolean()
    reader.skipTags()

    response.int32(NO_THROTTLE)
    response.array(topics, ({ name, count }) => {
      const ordered = faultCode(fault, name)
      const checked = resultOf(broker.cluster.checkPartitionCount(name, count), name)
      const result = ordered === 0 ? checked : { errorCode: ordered, errorMessage: null }
      if (result.errorCode === 0 && !validateOnly) broker.cluster.growTopic(name, count)
      response.string(name).int16(result.errorCode).string(result.errorMessage).tags()
    })
    response.tags()
    return 'respond'
  },
}

/*
  DeleteRecords Request (Version: 0 - 2) => [topics] timeout_ms TAG_BUFFER(2+)
    topics => name [partitions] TAG_BUFFER(2+)
      partitions => partition_index offset TAG_BUFFER(2+)
        offset => INT64     -1 is the log end

  DeleteRecords Response (Version: 0 - 2) => throttle_time_ms [topics] TAG_BUFFER(2+)
    topics => name [partitions] TAG_BUFFER(2+)
      partitions => partition_index low_watermark error_code TAG_BUFFER(2+)
*/
export const deleteRecordsApi: Api = {
  name: 'DeleteRecords',
  key: API_KEYS.DeleteRecords,
  minVersion: 0,
  maxVersion: 2,
  flexibleFrom: 2,
  handle({ reader, response, fault }, broker) {
    const topics = reader.array(() => {
      const name = reader.string()
      const partitions = reader.array(() => {
        const wanted = { partition: reader.int32(), offset: reader.int64() }
        reader.skipTags()
        return wanted
      })
      reader.skipTags()
      return { name, partitions }
    })
    reader.int32()
    reader.skipTags()

    response.int32(NO_THROTTLE)
    response.array(topics, ({ name, partitions }) => {
      response.string(name)
      response.array(partitions, ({ partition, offset }) => {
        const errorCode = faultCode(fault, name, partition) || deleteRecords(broker, name, partition, offset)
        const startOffset = broker.cluster.partition(name, partition)?.startOffset
        response
          .int32(partition)
          .int64(errorCode === 0 ? (startOffset ?? -1n) : -1n)
          .int16(errorCode)
          .tags()
      })
      response.tags()
    })
    response.tags()
    return 'respond'
  },
}

function deleteRecords(
  broker: BrokerContext,
  topic: string,
  partition: number,
  offset: bigint,
): ProtocolErrorCode {
  const log = broker.cluster.partition(topic, partition)
  if (log === undefined) return PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION
  const target = offset === HIGH_WATERMARK ? log.endOffset : offset
  if (target < 0n || target > log.endOffset) return PROTOCOL_ERRORS.OFFSET_OUT_OF_RANGE
  log.deleteBefore(target)
  broker.cluster.notifyChange()
  return PROTOCOL_ERRORS.NONE
}
