/**
 * Metadata and DescribeCluster: one broker, which leads every partition.
 *
 * @module
 */
import { type Api, type BrokerContext, NO_AUTHORIZED_OPERATIONS, NO_THROTTLE } from '../api.ts'
import { CLUSTER_ID, NODE_ID, type Topic } from '../cluster.ts'
import { faultCode } from '../fault.ts'
import { API_KEYS, PROTOCOL_ERRORS, type ProtocolErrorCode } from '../protocol-error.ts'
import { type WireWriter, ZERO_UUID } from '../wire.ts'

interface TopicMetadata {
  readonly errorCode: ProtocolErrorCode
  readonly name: string | null
  readonly topicId: string
  readonly topic: Topic | null
}

/*
  Metadata Request (Version: 0 - 13) => [topics] allow_auto_topic_creation(4+)
                                        include_cluster_authorized_operations(8-10)
                                        include_topic_authorized_operations(8+) TAG_BUFFER(9+)
    topics => topic_id(10+) name TAG_BUFFER(9+)     null (in version 0: empty) means all topics
      topic_id => UUID
      name => STRING, NULLABLE_STRING(10+)

  Metadata Response (Version: 0 - 13) => throttle_time_ms(3+) [brokers] cluster_id(2+) controller_id(1+) [topics]
                                         cluster_authorized_operations(8-10) error_code(13+) TAG_BUFFER(9+)
    brokers => node_id host port rack(1+) TAG_BUFFER(9+)
      node_id, port => INT32
      host => STRING
      rack => NULLABLE_STRING
    cluster_id => NULLABLE_STRING
    controller_id => INT32
    topics => error_code name topic_id(10+) is_internal(1+) [partitions] topic_authorized_operations(8+) TAG_BUFFER(9+)
      error_code => INT16
      name => STRING, NULLABLE_STRING(12+)
      is_internal => BOOLEAN
      partitions => error_code partition_index leader_id leader_epoch(7+) [replica_nodes] [isr_nodes]
                    [offline_replicas](5+) TAG_BUFFER(9+)
        partition_index, leader_id, leader_epoch, replica_nodes, isr_nodes, offline_replicas => INT32
      topic_authorized_operations => INT32

  Topics are never created by asking for them.
*/
export const metadataApi: Api = {
  name: 'Metadata',
  key: API_KEYS.Metadata,
  minVersion: 0,
  maxVersion: 13,
  flexibleFrom: 9,
  handle(request, broker) {
    const { version, reader, response, fault } = request
    const wanted = reader.nullableArray(() => {
      const topicId = version >= 10 ? reader.uuid() : ZERO_UUID
      const name = version >= 10 ? reader.nullableString() : reader.string()
      reader.skipTags()
      return { topicId, name }
    })
    if (version >= 4) reader.boolean()
    if (version >= 8 && version <= 10) reader.boolean()
    if (version >= 8) reader.boolean()
    reader.skipTags()

    const isAll = wanted === null || (version === 0 && wanted.length === 0)
    const topics = isAll
      ? broker.cluster.topics.map(topic => describe(topic, faultCode(fault, topic.name)))
      : wanted.map(({ topicId, name }) => {
          const found = find(broker, topicId, name)
          const ordered = faultCode(fault, found.name ?? undefined)
          return ordered === 0 ? found : { ...found, errorCode: ordered, topic: null }
        })
    if (version >= 3) response.int32(NO_THROTTLE)
    writeBrokers(response, broker, version >= 1)
    if (version >= 2) response.string(CLUSTER_ID)
    if (version >= 1) response.int32(NODE_ID)
    response.array(topics, topic => writeTopic(response, version, topic))
    if (version >= 8 && version <= 10) response.int32(NO_AUTHORIZED_OPERATIONS)
    if (version >= 13) response.int16(topics.length === 0 ? faultCode(fault) : PROTOCOL_ERRORS.NONE)
    response.tags()
    return 'respond'
  },
}

function find(broker: BrokerContext, topicId: string, name: string | null): TopicMetadata {
  if (name === null) {
    const topic = broker.cluster.topicById(topicId)
    if (topic !== undefined) return describe(topic, PROTOCOL_ERRORS.NONE)
    return { errorCode: PROTOCOL_ERRORS.UNKNOWN_TOPIC_ID, name: null, topicId, topic: null }
  }
  const topic = broker.cluster.topic(name)
  if (topic !== undefined) return describe(topic, PROTOCOL_ERRORS.NONE)
  const isName = broker.cluster.checkNewTopic(name, 1) !== 'invalid-name'
  const errorCode = isName
    ? PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION
    : PROTOCOL_ERRORS.INVALID_TOPIC_EXCEPTION
  return { errorCode, name, topicId: ZERO_UUID, topic: null }
}

function describe(topic: Topic, errorCode: ProtocolErrorCode): TopicMetadata {
  return { errorCode, name: topic.name, topicId: topic.topicId, topic: errorCode === 0 ? topic : null }
}

function writeTopic(response: WireWriter, version: number, metadata: TopicMetadata): void {
  response.int16(metadata.errorCode)
  response.string(version >= 12 ? metadata.name : (metadata.name ?? ''))
  if (version >= 10) response.uuid(metadata.topicId)
  if (version >= 1) response.boolean(false)
  response.array(metadata.topic?.partitions ?? [], log => {
    response.int16(PROTOCOL_ERRORS.NONE).int32(log.partition).int32(NODE_ID)
    if (version >= 7) response.int32(log.leaderEpoch)
    response.array([NODE_ID], node => response.int32(node)).array([NODE_ID], node => response.int32(node))
    if (version >= 5) response.array([], () => {})
    response.tags()
  })
  if (version >= 8) response.int32(NO_AUTHORIZED_OPERATIONS)
  response.tags()
}

function writeBrokers(response: WireWriter, broker: BrokerContext, hasRack: boolean): void {
  response.array([broker], ({ host, port }) => {
    response.int32(NODE_ID).string(host).int32(port)
    if (hasRack) response.string(null)
    response.tags()
  })
}

/*
  DescribeCluster Request (Version: 0 - 1) => include_cluster_authorized_operations endpoint_type(1+) TAG_BUFFER
    include_cluster_authorized_operations => BOOLEAN
    endpoint_type => INT8

  DescribeCluster Response (Version: 0 - 1) => throttle_time_ms error_code error_message endpoint_type(1+) cluster_id
                                               controller_id [brokers] cluster_authorized_operations TAG_BUFFER
    error_message => NULLABLE_STRING
    cluster_id => STRING
    brokers => broker_id host port rack TAG_BUFFER
*/
export const describeClusterApi: Api = {
  name: 'DescribeCluster',
  key: API_KEYS.DescribeCluster,
  minVersion: 0,
  maxVersion: 1,
  flexibleFrom: 0,
  handle({ version, reader, response, fault }, broker) {
    reader.boolean()
    const endpointType = version >= 1 ? reader.int8() : 1
    reader.skipTags()
    response.int32(NO_THROTTLE).int16(faultCode(fault)).string(null)
    if (version >= 1) response.int8(endpointType)
    response.string(CLUSTER_ID).int32(NODE_ID)
    writeBrokers(response, broker, true)
    response.int32(NO_AUTHORIZED_OPERATIONS).tags()
    return 'respond'
  },
}
