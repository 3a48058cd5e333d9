/**
 * InitProducerId, AddPartitionsToTxn and EndTxn: idempotent and transactional producers (KIP-98).
 *
 * @module
 */
import { type Api, NO_THROTTLE } from '../api.ts'
import { faultCode } from '../fault.ts'
import { API_KEYS, PROTOCOL_ERRORS, type ProtocolErrorCode } from '../protocol-error.ts'

/*
  InitProducerId Request (Version: 0 - 5) => transactional_id transaction_timeout_ms producer_id(3+) producer_epoch(3+)
                                             TAG_BUFFER(2+)
    transactional_id => NULLABLE_STRING
    transaction_timeout_ms => INT32
    producer_id => INT64
    producer_epoch => INT16

  InitProducerId Response (Version: 0 - 5) => throttle_time_ms error_code producer_id producer_epoch TAG_BUFFER(2+)
    throttle_time_ms => INT32
    error_code => INT16
    producer_id => INT64
    producer_epoch => INT16

  Transactions never time out here: a test ends them.
*/
export const initProducerIdApi: Api = {
  name: 'InitProducerId',
  key: API_KEYS.InitProducerId,
  minVersion: 0,
  maxVersion: 5,
  flexibleFrom: 2,
  handle({ version, reader, response, fault }, broker) {
    const transactionalId = reader.nullableString()
    reader.int32()
    if (version >= 3) {
      reader.int64()
      reader.int16()
    }
    reader.skipTags()
    const ordered = faultCode(fault)
    const outcome =
      ordered === 0
        ? broker.transactions.initProducer(transactionalId)
        : { ok: false as const, code: ordered }
    response.int32(NO_THROTTLE).int16(outcome.ok ? PROTOCOL_ERRORS.NONE : outcome.code)
    response
      .int64(outcome.ok ? outcome.producerId : -1n)
      .int16(outcome.ok ? outcome.producerEpoch : -1)
      .tags()
    return 'respond'
  },
}

/*
  AddPartitionsToTxn Request (Version: 0 - 3) => transactional_id producer_id producer_epoch [topics] TAG_BUFFER(3+)
    transactional_id => STRING
    producer_id => INT64
    producer_epoch => INT16
    topics => name [partitions] TAG_BUFFER(3+)
      partitions => INT32

  AddPartitionsToTxn Response (Version: 0 - 3) => throttle_time_ms [results_by_topic] TAG_BUFFER(3+)
    results_by_topic => name [results_by_partition] TAG_BUFFER(3+)
      results_by_partition => partition_index partition_error_code TAG_BUFFER(3+)

  Versions from 4 are spoken between brokers only.
*/
export const addPartitionsToTxnApi: Api = {
  name: 'AddPartitionsToTxn',
  key: API_KEYS.AddPartitionsToTxn,
  minVersion: 0,
  maxVersion: 3,
  flexibleFrom: 3,
  handle({ reader, response, fault }, broker) {
    const transactionalId = reader.string()
    const identity = { producerId: reader.int64(), producerEpoch: reader.int16() }
    const topics = reader.array(() => {
      const name = reader.string()
      const partitions = reader.array(() => reader.int32())
      reader.skipTags()
      return { name, partitions }
    })
    reader.skipTags()
    const add = (topic: string, partition: number): ProtocolErrorCode => {
      const ordered = faultCode(fault, topic, partition)
      if (ordered !== 0) return ordered
      const log = broker.cluster.partition(topic, partition)
      if (log === undefined) return PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION
      const outcome = broker.transactions.addPartition(transactionalId, identity, log)
      return outcome.ok ? PROTOCOL_ERRORS.NONE : outcome.code
    }
    response.int32(NO_THROTTLE)
    response.array(topics, ({ name, partitions }) => {
      response.string(name)
      response.array(partitions, partition => {
        response.int32(partition).int16(add(name, partition)).tags()
      })
      response.tags()
    })
    response.tags()
    return 'respond'
  },
}

/*
  EndTxn Request (Version: 0 - 4) => transactional_id producer_id producer_epoch committed TAG_BUFFER(3+)
    transactional_id => STRING
    producer_id => INT64
    producer_epoch => INT16
    committed => BOOLEAN

  EndTxn Response (Version: 0 - 4) => throttle_time_ms error_code TAG_BUFFER(3+)

  Version 5 is for brokers that bump the epoch at every end (KIP-890), which this one does not announce.
*/
export const endTxnApi: Api = {
  name: 'EndTxn',
  key: API_KEYS.EndTxn,
  minVersion: 0,
  maxVersion: 4,
  flexibleFrom: 3,
  handle({ reader, response, fault }, broker) {
    const transactionalId = reader.string()
    const identity = { producerId: reader.int64(), producerEpoch: reader.int16() }
    const committed = reader.boolean()
    reader.skipTags()
    const ordered = faultCode(fault)
    const outcome =
      ordered === 0
        ? broker.transactions.endTransaction(transactionalId, identity, committed)
        : { ok: false as const, code: ordered }
    response
      .int32(NO_THROTTLE)
      .int16(outcome.ok ? PROTOCOL_ERRORS.NONE : outcome.code)
      .tags()
    return 'respond'
  },
}
