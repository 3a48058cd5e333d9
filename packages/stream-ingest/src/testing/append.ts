/**
 * The checks between a client's RECORDS field and the log, in the order in which a broker makes them.
 *
 * @module
 */
import type { Cluster } from './cluster.ts'
import type { AppendOptions, AppendOutcome, PartitionLog } from './partition-log.ts'
import { PROTOCOL_ERRORS, type ProtocolErrorName } from './protocol-error.ts'
import { readStoredHeader, splitBatches } from './stored-batch.ts'
import type { TransactionCoordinator } from './transaction-coordinator.ts'

export interface AppendTarget {
  readonly cluster: Cluster
  readonly transactions: TransactionCoordinator
}

export interface AppendRecordsOptions extends AppendOptions {
  /** Refuse more than one batch, as a broker does with a Produce request from version 3 on. Default false. */
  readonly singleBatch?: boolean
  /** False stores batches whose CRC is wrong. Default true. */
  readonly checkCrc?: boolean
  /** False lets control batches and batches of no open transaction in. Default true. */
  readonly checkTransaction?: boolean
}

/** Appends the batches in order, up to the first that is refused. The base offset returned is the first batch's. */
export function appendRecords(
  target: AppendTarget,
  log: PartitionLog,
  records: Uint8Array,
  options: AppendRecordsOptions = {},
): AppendOutcome {
  const split = splitBatches(records, options.checkCrc ?? true)
  if ('code' in split) return { ok: false, ...split }
  if (options.singleBatch === true && split.batches.length > 1) {
    return refuse('INVALID_RECORD', 'a Produce request holds one record batch per partition')
  }
  const { storedBytesMax, batchBytesMax } = target.cluster.limits
  if (target.cluster.storedBytes + records.length > storedBytesMax) {
    return refuse('POLICY_VIOLATION', `the embedded broker holds its limit of ${storedBytesMax} bytes`)
  }
  const parsed = split.batches.map(bytes => ({ bytes, header: readStoredHeader(bytes) }))
  for (const { header } of parsed) {
    if (header.sizeBytes > batchBytesMax) {
      return refuse(
        'MESSAGE_TOO_LARGE',
        `the batch has ${header.sizeBytes} bytes of ${batchBytesMax} allowed`,
      )
    }
    if (options.checkTransaction === false) continue
    if (header.isControl) return refuse('INVALID_RECORD', 'clients may not write control batches')
    if (header.isTransactional && !target.transactions.isOpen(header, log)) {
      return refuse('INVALID_TXN_STATE', 'the partition is not part of the producer’s transaction')
    }
  }
  let first: AppendOutcome | null = null
  let { baseOffset } = options
  for (const { bytes, header } of parsed) {
    const { checkSequence = true } = options
    const outcome = log.append(bytes, header, {
      checkSequence,
      ...(baseOffset === undefined ? {} : { baseOffset }),
    })
    if (!outcome.ok) return outcome
    first ??= outcome
    baseOffset = undefined
  }
  return first ?? refuse('INVALID_RECORD', 'there is no record batch')
}

function refuse(name: ProtocolErrorName, reason: string): AppendOutcome {
  return { ok: false, code: PROTOCOL_ERRORS[name], reason }
}
