/**
 * Producer ids and transactions: who may write, and what a commit or an abort leaves in the partitions.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { encodeControlBatch } from '../kafka/record-batch-encoder.ts'
import type { Cluster } from './cluster.ts'
import type { PartitionLog } from './partition-log.ts'
import { PROTOCOL_ERRORS, type ProtocolErrorCode } from './protocol-error.ts'
import { readStoredHeader } from './stored-batch.ts'

const TRANSACTIONAL_IDS_MAX = 10_000
/** Apache Kafka starts there too: an id of zero would hide mistakes with defaults. */
const FIRST_PRODUCER_ID = 1_000n
const PRODUCER_EPOCH_MAX = 0x7fff - 1

export interface ProducerIdentity {
  readonly producerId: bigint
  readonly producerEpoch: number
}

interface TransactionState {
  producerId: bigint
  producerEpoch: number
  /** Partitions of the open transaction; empty between transactions. */
  readonly partitions: Set<PartitionLog>
}

export type IdentityOutcome = ({ readonly ok: true } & ProducerIdentity) | TransactionRefusal
export interface TransactionRefusal {
  readonly ok: false
  readonly code: ProtocolErrorCode
}

export class TransactionCoordinator {
  readonly #cluster: Cluster
  readonly #transactions = new Map<string, TransactionState>()
  #nextProducerId = FIRST_PRODUCER_ID

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** A new id without transactions, or the next epoch of a transactional id; the latter aborts what it left open. */
  initProducer(transactionalId: string | null): IdentityOutcome {
    if (transactionalId === null) return { ok: true, producerId: this.#nextProducerId++, producerEpoch: 0 }
    const known = this.#transactions.get(transactionalId)
    if (known === undefined) {
      if (this.#transactions.size >= TRANSACTIONAL_IDS_MAX) return refuse('POLICY_VIOLATION')
      const state = {
        producerId: this.#nextProducerId++,
        producerEpoch: 0,
        partitions: new Set<PartitionLog>(),
      }
      this.#transactions.set(transactionalId, state)
      return { ok: true, producerId: state.producerId, producerEpoch: 0 }
    }
    this.#end(known, false)
    if (known.producerEpoch >= PRODUCER_EPOCH_MAX) {
      known.producerId = this.#nextProducerId++
      known.producerEpoch = 0
    } else known.producerEpoch++
    return { ok: true, producerId: known.producerId, producerEpoch: known.producerEpoch }
  }

  /** Lets a transaction write to a partition. */
  addPartition(
    transactionalId: string,
    identity: ProducerIdentity,
    log: PartitionLog,
  ): { readonly ok: true } | TransactionRefusal {
    const outcome = this.#authorize(transactionalId, identity)
    if (outcome.ok) outcome.state.partitions.add(log)
    return outcome.ok ? { ok: true } : outcome
  }

  /** May this producer append a transactional batch here? */
  isOpen(identity: ProducerIdentity, log: PartitionLog): boolean {
    for (const state of this.#transactions.values()) {
      if (state.producerId !== identity.producerId) continue
      return state.producerEpoch === identity.producerEpoch && state.partitions.has(log)
    }
    return false
  }

  /** Writes the markers. */
  endTransaction(
    transactionalId: string,
    identity: ProducerIdentity,
    committed: boolean,
  ): { readonly ok: true } | TransactionRefusal {
    const outcome = this.#authorize(transactionalId, identity)
    if (!outcome.ok) return outcome
    this.#end(outcome.state, committed)
    return { ok: true }
  }

  #authorize(
    transactionalId: string,
    identity: ProducerIdentity,
  ): { readonly ok: true; readonly state: TransactionState } | TransactionRefusal {
    const state = this.#transactions.get(transactionalId)
    if (state === undefined || state.producerId !== identity.producerId) {
      return refuse('INVALID_PRODUCER_ID_MAPPING')
    }
    if (state.producerEpoch !== identity.producerEpoch) return refuse('PRODUCER_FENCED')
    return { ok: true, state }
  }

  #end(state: TransactionState, committed: boolean): void {
    const { producerId, producerEpoch } = state
    assert(producerId >= FIRST_PRODUCER_ID, 'producer ids are given out here')
    for (const log of state.partitions) {
      const marker = encodeControlBatch(committed ? 'commit' : 'abort', {
        baseOffset: 0n,
        producerId,
        producerEpoch,
        timestampMs: this.#cluster.nowMs(),
      })
      log.appendMarker(marker, readStoredHeader(marker), committed)
    }
    if (state.partitions.size > 0) this.#cluster.notifyChange()
    state.partitions.clear()
  }
}

function refuse(name: keyof typeof PROTOCOL_ERRORS): TransactionRefusal {
  return { ok: false, code: PROTOCOL_ERRORS[name] }
}
