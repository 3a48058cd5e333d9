/**
 * FindCoordinator, OffsetCommit and OffsetFetch: where groups have got to.
 *
 * @module
 */
import { type Api, type ApiRequest, type BrokerContext, NO_THROTTLE, type PartitionResult } from '../api.ts'
import { NODE_ID } from '../cluster.ts'
import { faultCode } from '../fault.ts'
import { API_KEYS, PROTOCOL_ERRORS, type ProtocolErrorCode } from '../protocol-error.ts'
import type { WireReader, WireWriter } from '../wire.ts'

/** As Apache Kafka's `offset.metadata.max.bytes`. */
const METADATA_LENGTH_MAX = 4_096

/*
  FindCoordinator Request (Version: 0 - 6) => key(-3) key_type(1+) [coordinator_keys](4+) TAG_BUFFER(3+)
    key, coordinator_keys => STRING
    key_type => INT8     0 group, 1 transaction, 2 share

  FindCoordinator Response (Version: 0 - 6) => throttle_time_ms(1+) error_code(-3) error_message(1-3) node_id(-3)
                                               host(-3) port(-3) [coordinators](4+) TAG_BUFFER(3+)
    coordinators => key node_id host port error_code error_message TAG_BUFFER
*/
export const findCoordinatorApi: Api = {
  name: 'FindCoordinator',
  key: API_KEYS.FindCoordinator,
  minVersion: 0,
  maxVersion: 6,
  flexibleFrom: 3,
  handle({ version, reader, response, fault }, broker) {
    if (version <= 3) reader.string()
    if (version >= 1) reader.int8()
    const keys = version >= 4 ? reader.array(() => reader.string()) : []
    reader.skipTags()
    const errorCode = faultCode(fault)
    const { nodeId, host, port } =
      errorCode === 0
        ? { nodeId: NODE_ID, host: broker.host, port: broker.port }
        : { nodeId: -1, host: '', port: -1 }
    if (version >= 1) response.int32(NO_THROTTLE)
    if (version <= 3) {
      response.int16(errorCode)
      if (version >= 1) response.string(null)
      response.int32(nodeId).string(host).int32(port)
    } else {
      response.array(keys, key => {
        response.string(key).int32(nodeId).string(host).int32(port).int16(errorCode).string(null).tags()
      })
    }
    response.tags()
    return 'respond'
  },
}

/*
  OffsetCommit Request (Version: 2 - 10) => group_id generation_id_or_member_epoch member_id group_instance_id(7+)
                                            retention_time_ms(2-4) [topics] TAG_BUFFER(8+)
    group_id, member_id => STRING
    generation_id_or_member_epoch => INT32     -1 for a client that is no member
    group_instance_id => NULLABLE_STRING
    retention_time_ms => INT64
    topics => name(-9) topic_id(10+) [partitions] TAG_BUFFER(8+)
      partitions => partition_index committed_offset committed_leader_epoch(6+) committed_metadata TAG_BUFFER(8+)
        partition_index, committed_leader_epoch => INT32
        committed_offset => INT64
        committed_metadata => NULLABLE_STRING

  OffsetCommit Response (Version: 2 - 10) => throttle_time_ms(3+) [topics] TAG_BUFFER(8+)
    topics => name(-9) topic_id(10+) [partitions] TAG_BUFFER(8+)
      partitions => partition_index error_code TAG_BUFFER(8+)
*/
export const offsetCommitApi: Api = {
  name: 'OffsetCommit',
  key: API_KEYS.OffsetCommit,
  minVersion: 2,
  maxVersion: 10,
  flexibleFrom: 8,
  handle(request, broker) {
    const { version, reader, response } = request
    const group = reader.string()
    const generation = reader.int32()
    const memberId = reader.string()
    if (version >= 7) reader.nullableString()
    if (version <= 4) reader.int64()
    const membership = broker.groups.checkCommit(group, generation, memberId)
    const topics = reader.array(() => {
      const key = version >= 10 ? reader.uuid() : reader.string()
      const partitions = reader.array(() => commitOffset(request, broker, group, membership, key))
      reader.skipTags()
      return { key, partitions }
    })
    reader.skipTags()
    if (version >= 3) response.int32(NO_THROTTLE)
    response.array(topics, ({ key, partitions }) => {
      if (version >= 10) response.uuid(key)
      else response.string(key)
      response.array(partitions, result => {
        response.int32(result.partition).int16(result.errorCode).tags()
      })
      response.tags()
    })
    response.tags()
    return 'respond'
  },
}

function commitOffset(
  request: ApiRequest,
  broker: BrokerContext,
  group: string,
  membership: ProtocolErrorCode,
  topicKey: string,
): PartitionResult {
  const { version, reader } = request
  const partition = reader.int32()
  const offset = reader.int64()
  const leaderEpoch = version >= 6 ? reader.int32() : -1
  const metadata = reader.nullableString()
  reader.skipTags()
  const result = (errorCode: ProtocolErrorCode): PartitionResult => ({ partition, errorCode })
  const topic = version >= 10 ? broker.cluster.topicById(topicKey) : broker.cluster.topic(topicKey)
  const ordered = faultCode(request.fault, topic?.name, partition)
  if (ordered !== 0) return result(ordered)
  if (membership !== 0) return result(membership)
  if (topic === undefined && version >= 10) return result(PROTOCOL_ERRORS.UNKNOWN_TOPIC_ID)
  if (topic?.partitions[partition] === undefined) return result(PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION)
  if ((metadata?.length ?? 0) > METADATA_LENGTH_MAX) return result(PROTOCOL_ERRORS.OFFSET_METADATA_TOO_LARGE)
  const isKept = broker.cluster.commitOffset(group, topic.name, partition, { offset, leaderEpoch, metadata })
  return result(isKept ? PROTOCOL_ERRORS.NONE : PROTOCOL_ERRORS.POLICY_VIOLATION)
}

interface WantedTopic {
  readonly key: string
  readonly partitions: readonly number[]
}

interface WantedGroup {
  readonly group: string
  /** Null asks for every topic of the group. */
  readonly topics: readonly WantedTopic[] | null
}

/*
  OffsetFetch Request (Version: 1 - 10) => group_id(-7) [topics](-7) [groups](8+) require_stable(7+) TAG_BUFFER(6+)
    group_id => STRING
    groups => group_id member_id(9+) member_epoch(9+) [topics] TAG_BUFFER
      member_id => NULLABLE_STRING
      member_epoch => INT32
    topics => name(-9) topic_id(10+) [partition_indexes] TAG_BUFFER(6+)     null (from version 2) means all
      partition_indexes => INT32

  OffsetFetch Response (Version: 1 - 10) => throttle_time_ms(3+) [topics](-7) error_code(2-7) [groups](8+) TAG_BUFFER(6+)
    groups => group_id [topics] error_code TAG_BUFFER
    topics => name(-9) topic_id(10+) [partitions] TAG_BUFFER(6+)
      partitions => partition_index committed_offset committed_leader_epoch(5+) metadata error_code TAG_BUFFER(6+)
        committed_offset => INT64     -1 where the group has none
*/
export const offsetFetchApi: Api = {
  name: 'OffsetFetch',
  key: API_KEYS.OffsetFetch,
  minVersion: 1,
  maxVersion: 10,
  flexibleFrom: 6,
  handle(request, broker) {
    const { version, reader, response } = request
    const groups = version >= 8 ? reader.array(() => readGroup(version, reader)) : [readSingleGroup(reader)]
    if (version >= 7) reader.boolean()
    reader.skipTags()
    if (version >= 3) response.int32(NO_THROTTLE)
    const errorCode = groupError(request)
    if (version <= 7) {
      writeTopics(request, broker, groups[0]!)
      if (version >= 2) response.int16(errorCode)
    } else {
      response.array(groups, group => {
        response.string(group.group)
        writeTopics(request, broker, group)
        response.int16(errorCode).tags()
      })
    }
    response.tags()
    return 'respond'
  },
}

/** An ordered code without a place is the group's; with one, the partition's. */
function groupError({ fault }: ApiRequest): ProtocolErrorCode {
  return fault?.place.topic === undefined && fault?.place.partition === undefined ? faultCode(fault) : 0
}

function readSingleGroup(reader: WireReader): WantedGroup {
  const group = reader.string()
  const topics = reader.nullableArray(() => readWantedTopic(reader, false))
  return { group, topics }
}

function readGroup(version: number, reader: WireReader): WantedGroup {
  const group = reader.string()
  if (version >= 9) {
    reader.nullableString()
    reader.int32()
  }
  const topics = reader.nullableArray(() => readWantedTopic(reader, version >= 10))
  reader.skipTags()
  return { group, topics }
}

function readWantedTopic(reader: WireReader, byId: boolean): WantedTopic {
  const key = byId ? reader.uuid() : reader.string()
  const partitions = reader.array(() => reader.int32())
  reader.skipTags()
  return { key, partitions }
}

function writeTopics(request: ApiRequest, broker: BrokerContext, wanted: WantedGroup): void {
  const { version, response } = request
  const byId = version >= 10
  const everything = (): readonly WantedTopic[] =>
    broker.cluster
      .committedPartitions(wanted.group)
      .map(({ topic, partitions }) => ({ key: byId ? topic.topicId : topic.name, partitions }))
  const topics = groupError(request) === 0 ? (wanted.topics ?? everything()) : []
  response.array(topics, ({ key, partitions }) => {
    const name = byId ? broker.cluster.topicById(key)?.name : key
    if (byId) response.uuid(key)
    else response.string(key)
    response.array(partitions, partition => {
      writeOffset(request, broker, response, wanted.group, name, partition)
    })
    response.tags()
  })
}

function writeOffset(
  { version, fault }: ApiRequest,
  broker: BrokerContext,
  response: WireWriter,
  group: string,
  topic: string | undefined,
  partition: number,
): void {
  const unknown = topic === undefined ? PROTOCOL_ERRORS.UNKNOWN_TOPIC_ID : PROTOCOL_ERRORS.NONE
  const errorCode = faultCode(fault, topic, partition) || unknown
  const found =
    errorCode === 0 && topic !== undefined
      ? broker.cluster.committedOffset(group, topic, partition)
      : undefined
  response.int32(partition).int64(found?.offset ?? -1n)
  if (version >= 5) response.int32(found?.leaderEpoch ?? -1)
  response
    .string(found?.metadata ?? (found === undefined ? '' : null))
    .int16(errorCode)
    .tags()
}
