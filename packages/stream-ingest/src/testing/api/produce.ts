/**
 * Produce: appends record batches.
 *
 * @module
 */
import { type Api, type ApiRequest, type BrokerContext, NO_THROTTLE } from '../api.ts'
import { appendRecords } from '../append.ts'
import type { Topic } from '../cluster.ts'
import { faultCode } from '../fault.ts'
import { API_KEYS, PROTOCOL_ERRORS } from '../protocol-error.ts'

interface PartitionProduced {
  readonly partition: number
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly baseOffset: bigint
  readonly startOffset: bigint
}

/*
  Produce Request (Version: 3 - 13) => transactional_id acks timeout_ms [topic_data] TAG_BUFFER(9+)
    transactional_id => NULLABLE_STRING
    acks => INT16
    timeout_ms => INT32
    topic_data => name(-12) topic_id(13+) [partition_data] TAG_BUFFER(9+)
      name => STRING
      topic_id => UUID
      partition_data => index records TAG_BUFFER(9+)
        index => INT32
        records => NULLABLE_RECORDS

  Produce Response (Version: 3 - 13) => [responses] throttle_time_ms TAG_BUFFER(9+)
    responses => name(-12) topic_id(13+) [partition_responses] TAG_BUFFER(9+)
      partition_responses => index error_code base_offset log_append_time_ms log_start_offset(5+)
                             [record_errors](8+) error_message(8+) TAG_BUFFER(9+)
        index => INT32
        error_code => INT16
        base_offset => INT64
        log_append_time_ms => INT64
        log_start_offset => INT64
        record_errors => batch_index batch_index_error_message
        error_message => NULLABLE_STRING
    throttle_time_ms => INT32
*/
export const produceApi: Api = {
  name: 'Produce',
  key: API_KEYS.Produce,
  minVersion: 3,
  maxVersion: 13,
  flexibleFrom: 9,
  handle(request, broker) {
    const { version, reader, response } = request
    reader.nullableString()
    const acks = reader.int16()
    reader.int32()
    const byId = version >= 13
    const topics = reader.array(() => {
      const key = byId ? reader.uuid() : reader.string()
      const topic = byId ? broker.cluster.topicById(key) : broker.cluster.topic(key)
      const partitions = reader.array(() => {
        const partition = reader.int32()
        const records = reader.nullableBytes()
        reader.skipTags()
        return { partition, records }
      })
      reader.skipTags()
      return { key, topic, partitions }
    })
    reader.skipTags()
    const unknown = byId ? PROTOCOL_ERRORS.UNKNOWN_TOPIC_ID : PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION
    const results = topics.map(({ key, topic, partitions }) => ({
      key,
      partitions: partitions.map(({ partition, records }) =>
        produce(request, broker, topic, unknown, acks, partition, records),
      ),
    }))
    broker.cluster.notifyChange()
    if (acks === 0) return 'no-response'
    response.array(results, result => {
      if (byId) response.uuid(result.key)
      else response.string(result.key)
      response.array(result.partitions, produced => {
        response.int32(produced.partition).int16(produced.errorCode).int64(produced.baseOffset).int64(-1n)
        if (version >= 5) response.int64(produced.startOffset)
        if (version >= 8) response.array([], () => {}).string(produced.errorMessage)
        response.tags()
      })
      response.tags()
    })
    response.int32(NO_THROTTLE).tags()
    return 'respond'
  },
}

function produce(
  request: ApiRequest,
  broker: BrokerContext,
  topic: Topic | undefined,
  unknownTopicCode: number,
  acks: number,
  partition: number,
  records: Uint8Array | null,
): PartitionProduced {
  const refuse = (errorCode: number, errorMessage: string | null): PartitionProduced => ({
    partition,
    errorCode,
    errorMessage,
    baseOffset: -1n,
    startOffset: -1n,
  })
  const ordered = faultCode(request.fault, topic?.name, partition)
  if (ordered !== 0) return refuse(ordered, 'ordered by the test')
  if (acks !== -1 && acks !== 0 && acks !== 1) {
    return refuse(PROTOCOL_ERRORS.INVALID_REQUIRED_ACKS, `acks \`${acks}\` is not -1, 0 or 1`)
  }
  if (topic === undefined) return refuse(unknownTopicCode, null)
  const log = topic.partitions[partition]
  if (log === undefined) return refuse(PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION, null)
  const outcome = appendRecords(broker, log, records ?? new Uint8Array(0), { singleBatch: true })
  if (!outcome.ok) return refuse(outcome.code, outcome.reason)
  return {
    partition,
    errorCode: PROTOCOL_ERRORS.NONE,
    errorMessage: null,
    baseOffset: outcome.baseOffset,
    startOffset: log.startOffset,
  }
}
