import { BatchBuilder, batchRow } from '@stream-ingest/delta/column'
import type { RecordOutcome } from '../../src/decode/decoder.ts'
import { RecordWriter, type RecordWriterOptions } from '../../src/decode/record-writer.ts'
import { RecordSlab } from '../../src/kafka/record-slab.ts'
import { type LayoutParts, layoutOf } from './record-harness.ts'

export interface Written {
  /** Of each record; null where its row was appended. */
  readonly outcomes: readonly RecordOutcome[]
  readonly rows: readonly Record<string, unknown>[]
}

/** A payload, or null where the record has none. */
export type Payload = string | Uint8Array | null

export interface TimedPayload {
  readonly payload: Payload
  readonly timestampMs: number
}

const ORIGIN = { topic: 'events', partition: 3 }

/** Rows of one batch of records: in runs, as the pipeline writes them, or each alone. */
export class RunHarness {
  private readonly batch: BatchBuilder
  private readonly writer: RecordWriter

  constructor(parts: LayoutParts, options: RecordWriterOptions = {}) {
    const layout = layoutOf(parts)
    this.batch = new BatchBuilder(layout.schema)
    this.writer = new RecordWriter(layout, this.batch, options)
  }

  writeInRuns(slab: RecordSlab): Written {
    const outcomes: RecordOutcome[] = []
    for (let i = 0; i < slab.count; ) {
      const end = this.writer.appendRun(slab, i, slab.count, ORIGIN)
      if (end === i) outcomes.push(this.writer.append(slab, i++, ORIGIN))
      else for (; i < end; i++) outcomes.push(null)
    }
    return { outcomes, rows: this.takeRows() }
  }

  writeEachAlone(slab: RecordSlab): Written {
    const outcomes = Array.from({ length: slab.count }, (_, i) => this.writer.append(slab, i, ORIGIN))
    return { outcomes, rows: this.takeRows() }
  }

  private takeRows(): Record<string, unknown>[] {
    const columns = this.batch.finish()
    return Array.from({ length: columns.rowCount }, (_, i) => batchRow(columns, i))
  }
}

export function writeInRuns(
  parts: LayoutParts,
  payloads: readonly (Payload | TimedPayload)[],
  options: RecordWriterOptions = {},
): Written {
  return new RunHarness(parts, options).writeInRuns(slabOf(payloads))
}

export function writeEachAlone(
  parts: LayoutParts,
  payloads: readonly (Payload | TimedPayload)[],
  options: RecordWriterOptions = {},
): Written {
  return new RunHarness(parts, options).writeEachAlone(slabOf(payloads))
}

/** What a payload that is cut off would run into: it must never complete it. */
const NEIGHBOUR = Buffer.from('"}]}1,"a":2}]]}}')

/** The payloads one behind the other, with something between them that is not theirs. */
export function slabOf(
  payloads: readonly (Payload | TimedPayload)[],
  slab: RecordSlab = new RecordSlab(),
): RecordSlab {
  const pieces: Uint8Array[] = [NEIGHBOUR]
  const places: [start: number, end: number, timestampMs: number][] = []
  let at = NEIGHBOUR.length
  for (const each of payloads) {
    const isTimed = each !== null && typeof each === 'object' && 'payload' in each
    const { payload, timestampMs } = isTimed ? each : { payload: each, timestampMs: 0 }
    if (payload === null) places.push([-1, -1, timestampMs])
    else {
      const bytes = Buffer.from(payload)
      places.push([at, at + bytes.length, timestampMs])
      pieces.push(bytes, NEIGHBOUR)
      at += bytes.length + NEIGHBOUR.length
    }
  }
  slab.reset(Buffer.concat(pieces), 0n, payloads.length)
  for (const [i, [start, end, timestampMs]] of places.entries()) {
    slab.valueStart[i] = start
    slab.valueEnd[i] = end
    slab.timestamp[i] = timestampMs
    slab.offsetDelta[i] = i
    slab.keyStart[i] = -1
    slab.headerCount[i] = 0
  }
  slab.count = payloads.length
  return slab
}
