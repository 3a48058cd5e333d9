/**
 * The form in which every API of the broker is written: a version range, where the flexible encoding begins, and one
 * function that reads the request and writes the response in the order of the grammar.
 *
 * @module
 */
import type { Cluster } from './cluster.ts'
import type { TakenFault } from './fault.ts'
import type { GroupCoordinator } from './group-coordinator.ts'
import type { ApiName, ProtocolErrorCode } from './protocol-error.ts'
import type { TransactionCoordinator } from './transaction-coordinator.ts'
import type { WireReader, WireWriter } from './wire.ts'

/** Runs `callback` after `delayMs`; the returned function cancels it. */
export type Schedule = (delayMs: number, callback: () => void) => () => void

export interface BrokerContext {
  readonly cluster: Cluster
  readonly transactions: TransactionCoordinator
  readonly groups: GroupCoordinator
  readonly schedule: Schedule
  readonly host: string
  readonly port: number
}

export interface ApiRequest {
  readonly version: number
  /** Stands after the request header. */
  readonly reader: WireReader
  /** Stands after the response header. */
  readonly response: WireWriter
  readonly clientId: string | null
  readonly fault: TakenFault | null
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal
}

/** `no-response` is Produce with acks = 0. */
export type ApiOutcome = 'respond' | 'no-response'

export interface Api {
  readonly name: ApiName
  readonly key: number
  /** Versions below are refused, as Apache Kafka 4 refuses them (KIP-896). */
  readonly minVersion: number
  readonly maxVersion: number
  /** First version with compact lengths and tag buffers. */
  readonly flexibleFrom: number
  readonly handle: (request: ApiRequest, broker: BrokerContext) => ApiOutcome | Promise<ApiOutcome>
}

/** The authorized-operations bit field, where it was not asked for. */
export const NO_AUTHORIZED_OPERATIONS = -0x80000000

/** throttle_time_ms: this broker never throttles. */
export const NO_THROTTLE = 0

export interface PartitionResult {
  readonly partition: number
  readonly errorCode: ProtocolErrorCode
}
