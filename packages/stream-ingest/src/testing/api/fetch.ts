/**
 * Fetch: record batches as they are stored, with a long poll.
 *
 * @module
 */
import { type Api, type ApiOutcome, type ApiRequest, type BrokerContext, NO_THROTTLE } from '../api.ts'
import { NODE_ID, type Topic } from '../cluster.ts'
import { faultCode } from '../fault.ts'
import type { AbortedTransaction, IsolationLevel, PartitionLog } from '../partition-log.ts'
import { API_KEYS, PROTOCOL_ERRORS, type ProtocolErrorCode } from '../protocol-error.ts'
import type { WireWriter } from '../wire.ts'

/** No client may hold a connection longer than this, whatever its max_wait_ms. */
const WAIT_MS_MAX = 60_000
/** Request-level errors; any other ordered code goes to the partitions. */
const SESSION_ERRORS: readonly number[] = [
  PROTOCOL_ERRORS.FETCH_SESSION_ID_NOT_FOUND,
  PROTOCOL_ERRORS.INVALID_FETCH_SESSION_EPOCH,
]

interface FetchPartition {
  readonly partition: number
  readonly leaderEpoch: number
  readonly fromOffset: bigint
  readonly maxBytes: number
}

interface FetchTopic {
  /** Name, or from version 13 the topic id. */
  readonly key: string
  readonly partitions: readonly FetchPartition[]
}

interface FetchRequest {
  readonly maxWaitMs: number
  readonly minBytes: number
  readonly maxBytes: number
  readonly isolation: IsolationLevel
  readonly sessionId: number
  readonly topics: readonly FetchTopic[]
}

interface PartitionFetched {
  readonly partition: number
  readonly errorCode: ProtocolErrorCode
  readonly log: PartitionLog | null
  readonly aborted: readonly AbortedTransaction[] | null
  readonly pieces: readonly Uint8Array[]
}

/*
  Fetch Request (Version: 4 - 18) => replica_id(-14) max_wait_ms min_bytes max_bytes isolation_level session_id(7+)
                                     session_epoch(7+) [topics] [forgotten_topics_data](7+) rack_id(11+) TAG_BUFFER(12+)
    replica_id, max_wait_ms, min_bytes, max_bytes, session_id, session_epoch => INT32
    isolation_level => INT8
    topics => topic(-12) topic_id(13+) [partitions] TAG_BUFFER(12+)
      partitions => partition current_leader_epoch(9+) fetch_offset last_fetched_epoch(12+) log_start_offset(5+)
                    partition_max_bytes TAG_BUFFER(12+)
        partition, current_leader_epoch, last_fetched_epoch, partition_max_bytes => INT32
        fetch_offset, log_start_offset => INT64
    forgotten_topics_data => topic(-12) topic_id(13+) [partitions] TAG_BUFFER(12+)
    rack_id => STRING

  No sessions: session id 0 in the answer tells the client to send its full list each time (KIP-227).
*/
export const fetchApi: Api = {
  name: 'Fetch',
  key: API_KEYS.Fetch,
  minVersion: 4,
  maxVersion: 18,
  flexibleFrom: 12,
  async handle(request, broker): Promise<ApiOutcome> {
    const fetch = readRequest(request)
    const sessionError = fetch.sessionId === 0 ? 0 : PROTOCOL_ERRORS.FETCH_SESSION_ID_NOT_FOUND
    const ordered = faultCode(request.fault)
    const errorCode = SESSION_ERRORS.includes(ordered) ? ordered : sessionError
    if (errorCode === 0) await waitForBytes(request, broker, fetch)
    writeResponse(request, errorCode, errorCode === 0 ? fetchTopics(request, broker, fetch) : [])
    return 'respond'
  },
}

function readRequest({ version, reader }: ApiRequest): FetchRequest {
  if (version <= 14) reader.int32()
  const maxWaitMs = reader.int32()
  const minBytes = reader.int32()
  const maxBytes = reader.int32()
  const isolation = reader.int8() === 1 ? 'read_committed' : 'read_uncommitted'
  const sessionId = version >= 7 ? reader.int32() : 0
  if (version >= 7) reader.int32()
  const topics = reader.array(() => {
    const key = version >= 13 ? reader.uuid() : reader.string()
    const partitions = reader.array(() => {
      const partition = reader.int32()
      const leaderEpoch = version >= 9 ? reader.int32() : -1
      const fromOffset = reader.int64()
      if (version >= 12) reader.int32()
      if (version >= 5) reader.int64()
      const partitionMaxBytes = reader.int32()
      reader.skipTags()
      return { partition, leaderEpoch, fromOffset, maxBytes: partitionMaxBytes }
    })
    reader.skipTags()
    return { key, partitions }
  })
  if (version >= 7) {
    reader.array(() => {
      if (version >= 13) reader.uuid()
      else reader.string()
      reader.array(() => reader.int32())
      reader.skipTags()
    })
  }
  if (version >= 11) reader.string()
  reader.skipTags()
  return { maxWaitMs, minBytes, maxBytes, isolation, sessionId, topics }
}

/** Returns once min_bytes are there, or an error is, or the time is over, or the client has gone. */
async function waitForBytes(request: ApiRequest, broker: BrokerContext, fetch: FetchRequest): Promise<void> {
  const waitMs = Math.min(fetch.maxWaitMs, WAIT_MS_MAX)
  if (waitMs <= 0 || isReady(request, broker, fetch)) return
  await new Promise<void>(resolve => {
    const finish = (): void => {
      cancelTimer()
      stopListening()
      request.signal.removeEventListener('abort', finish)
      resolve()
    }
    const cancelTimer = broker.schedule(waitMs, finish)
    const stopListening = broker.cluster.onChange(() => {
      if (isReady(request, broker, fetch)) finish()
    })
    request.signal.addEventListener('abort', finish)
  })
}

function isReady(request: ApiRequest, broker: BrokerContext, fetch: FetchRequest): boolean {
  let available = 0
  for (const { key, partitions } of fetch.topics) {
    const topic = findTopic(request, broker, key)
    for (const wanted of partitions) {
      const log = topic?.partitions[wanted.partition]
      if (log === undefined || errorOf(request, topic, wanted) !== 0) return true
      const end = log.readableEnd(fetch.isolation)
      available += log.availableBytes(wanted.fromOffset, end, fetch.minBytes - available)
      if (available >= fetch.minBytes) return true
    }
  }
  return false
}

function findTopic(request: ApiRequest, broker: BrokerContext, key: string): Topic | undefined {
  return request.version >= 13 ? broker.cluster.topicById(key) : broker.cluster.topic(key)
}

function errorOf(request: ApiRequest, topic: Topic | undefined, wanted: FetchPartition): ProtocolErrorCode {
  const ordered = faultCode(request.fault, topic?.name, wanted.partition)
  if (ordered !== 0) return ordered
  if (topic === undefined) {
    const byId = request.version >= 13
    return byId ? PROTOCOL_ERRORS.UNKNOWN_TOPIC_ID : PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION
  }
  const log = topic.partitions[wanted.partition]
  if (log === undefined) return PROTOCOL_ERRORS.UNKNOWN_TOPIC_OR_PARTITION
  if (wanted.leaderEpoch >= 0 && wanted.leaderEpoch < log.leaderEpoch) {
    return PROTOCOL_ERRORS.FENCED_LEADER_EPOCH
  }
  if (wanted.leaderEpoch > log.leaderEpoch) return PROTOCOL_ERRORS.UNKNOWN_LEADER_EPOCH
  if (wanted.fromOffset < log.startOffset || wanted.fromOffset > log.endOffset) {
    return PROTOCOL_ERRORS.OFFSET_OUT_OF_RANGE
  }
  return PROTOCOL_ERRORS.NONE
}

/** max_bytes bounds the whole answer, but the first partition with data gets at least one whole batch (KIP-74). */
function fetchTopics(
  request: ApiRequest,
  broker: BrokerContext,
  fetch: FetchRequest,
): { readonly key: string; readonly partitions: readonly PartitionFetched[] }[] {
  let roomBytes = fetch.maxBytes
  let isEmpty = true
  return fetch.topics.map(({ key, partitions }) => {
    const topic = findTopic(request, broker, key)
    return {
      key,
      partitions: partitions.map((wanted): PartitionFetched => {
        const { partition, fromOffset } = wanted
        const errorCode = errorOf(request, topic, wanted)
        const log = topic?.partitions[partition] ?? null
        if (errorCode !== 0 || log === null) return { partition, errorCode, log, aborted: null, pieces: [] }
        const end = log.readableEnd(fetch.isolation)
        const maxBytes = Math.max(0, Math.min(wanted.maxBytes, roomBytes))
        const slice = log.read(fromOffset, end, maxBytes, isEmpty)
        roomBytes -= slice.sizeBytes
        if (slice.sizeBytes > 0) isEmpty = false
        const aborted =
          fetch.isolation === 'read_committed' ? log.abortedTransactions(fromOffset, slice.nextOffset) : null
        return { partition, errorCode, log, aborted, pieces: slice.pieces }
      }),
    }
  })
}

/*
  Fetch Response (Version: 4 - 18) => throttle_time_ms error_code(7+) session_id(7+) [responses] TAG_BUFFER(12+)
    throttle_time_ms, session_id => INT32
    error_code => INT16
    responses => topic(-12) topic_id(13+) [partitions] TAG_BUFFER(12+)
      partitions => partition_index error_code high_watermark last_stable_offset log_start_offset(5+)
                    [aborted_transactions] preferred_read_replica(11+) records TAG_BUFFER(12+)
        partition_index, preferred_read_replica => INT32
        error_code => INT16
        high_watermark, last_stable_offset, log_start_offset => INT64
        aborted_transactions => producer_id first_offset TAG_BUFFER(12+)     nullable
          producer_id, first_offset => INT64
        records => NULLABLE_RECORDS
        TAG_BUFFER => current_leader(1)
          current_leader => leader_id leader_epoch TAG_BUFFER
            leader_id, leader_epoch => INT32
*/
function writeResponse(
  { version, response }: ApiRequest,
  errorCode: ProtocolErrorCode,
  topics: readonly { readonly key: string; readonly partitions: readonly PartitionFetched[] }[],
): void {
  response.int32(NO_THROTTLE)
  if (version >= 7) response.int16(errorCode).int32(0)
  response.array(topics, ({ key, partitions }) => {
    if (version >= 13) response.uuid(key)
    else response.string(key)
    response.array(partitions, fetched => writePartition(version, response, fetched))
    response.tags()
  })
  response.tags()
}

function writePartition(version: number, response: WireWriter, fetched: PartitionFetched): void {
  const { log, errorCode } = fetched
  const hasLog = log !== null && errorCode === 0
  response.int32(fetched.partition).int16(errorCode)
  response.int64(hasLog ? log.endOffset : -1n).int64(hasLog ? log.lastStableOffset : -1n)
  if (version >= 5) response.int64(hasLog ? log.startOffset : -1n)
  response.array(fetched.aborted, ({ producerId, firstOffset }) => {
    response.int64(producerId).int64(firstOffset).tags()
  })
  if (version >= 11) response.int32(-1)
  response.chunks(fetched.pieces)
  if (version < 12) return
  const isStaleLeader =
    errorCode === PROTOCOL_ERRORS.NOT_LEADER_OR_FOLLOWER || errorCode === PROTOCOL_ERRORS.FENCED_LEADER_EPOCH
  if (log === null || !isStaleLeader) response.tags()
  else {
    const currentLeader = { tag: 1, sizeBytes: 9 }
    response.unsignedVarint(1).unsignedVarint(currentLeader.tag).unsignedVarint(currentLeader.sizeBytes)
    response.int32(NODE_ID).int32(log.leaderEpoch).tags()
  }
}
