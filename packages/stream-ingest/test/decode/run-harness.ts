import { field, struct } from '@stream-ingest/delta'
import { BatchBuilder, batchRow, type ColumnBuilder } from '@stream-ingest/delta/column'
import type { DecodeField } from '../../src/config/decode-field.ts'
import type { BadRecordReason } from '../../src/decode/decoder.ts'
import { createJsonDecoder, type JsonDecoderOptions } from '../../src/decode/json-decoder.ts'
import { RunDecoder } from '../../src/decode/run-decoder.ts'
import { RecordSlab } from '../../src/kafka/record-slab.ts'

export interface Run {
  /** Of each payload; null where its row was appended. */
  readonly outcomes: readonly (BadRecordReason | null)[]
  readonly metUnknown: readonly boolean[]
  readonly rows: readonly Record<string, unknown>[]
}

export interface RunOptions extends JsonDecoderOptions {
  /** Fields whose builders are looked at row by row. */
  readonly immediate?: readonly string[]
  /** Of a payload whose row is taken back although it fits. */
  readonly isRefused?: (index: number) => boolean
}

/** A payload, or null where the record has none. */
export type Payload = string | Uint8Array | null

/** Decodes many payloads of one batch, as the pipeline does it. */
export function decodeRun(
  fields: readonly DecodeField[],
  payloads: readonly Payload[],
  options: RunOptions = {},
): Run {
  const batch = batchOf(fields)
  const decoder = runDecoderOf(fields, batch, options)
  return decodeSlab(decoder, batch, slabOf(payloads), options)
}

export function runDecoderOf(
  fields: readonly DecodeField[],
  batch: BatchBuilder,
  { immediate = [], ...options }: RunOptions = {},
): RunDecoder {
  const builders = new Set<ColumnBuilder>(
    immediate.map(name => batch.columns[fields.findIndex(f => f.name === name)]!),
  )
  return new RunDecoder(fields, batch.columns, { ...options, immediate: builders })
}

export function decodeSlab(
  decoder: RunDecoder,
  batch: BatchBuilder,
  slab: RecordSlab,
  { isRefused = () => false }: RunOptions = {},
): Run {
  const outcomes: (BadRecordReason | null)[] = []
  const metUnknown: boolean[] = []
  for (let i = 0; i < slab.count; i++) {
    const bad = decoder.decode(slab, i)
    outcomes.push(bad)
    metUnknown.push(bad === null && decoder.metUnknownField)
    if (bad === null && !isRefused(i)) {
      decoder.accept()
      batch.endRow()
    } else {
      decoder.flush()
      batch.rollBackRow()
    }
  }
  decoder.flush()
  return { outcomes, metUnknown, rows: rowsOf(batch) }
}

/** The same one by one, by the decoder that knows all of the rules. */
export function decodeOneByOne(
  fields: readonly DecodeField[],
  payloads: readonly Payload[],
  { isRefused = () => false, ...options }: RunOptions = {},
): Run {
  const batch = batchOf(fields)
  const decoder = createJsonDecoder(fields, batch.columns, options)
  const outcomes: (BadRecordReason | null)[] = []
  const metUnknown: boolean[] = []
  const slab = slabOf(payloads)
  for (let i = 0; i < slab.count; i++) {
    const start = slab.valueStart[i]!
    const bad = start < 0 ? decoder.decodeNull() : decoder.decode(slab.bytes, start, slab.valueEnd[i]!)
    outcomes.push(bad)
    metUnknown.push(bad === null && decoder.metUnknownField)
    if (bad === null && !isRefused(i)) batch.endRow()
    else batch.rollBackRow()
  }
  return { outcomes, metUnknown, rows: rowsOf(batch) }
}

export function batchOf(fields: readonly DecodeField[]): BatchBuilder {
  return new BatchBuilder(struct(fields.map(f => field(f.name, f.type, f.nullable))))
}

/** What a payload that is cut off would run into: it must never complete it. */
const NEIGHBOUR = Buffer.from('"}]}1,"a":2}]]}}')

/** The payloads one behind the other, with something between them that is not theirs. */
export function slabOf(payloads: readonly Payload[], slab: RecordSlab = new RecordSlab()): RecordSlab {
  const pieces: Uint8Array[] = [NEIGHBOUR]
  const places: [start: number, end: number][] = []
  let at = NEIGHBOUR.length
  for (const payload of payloads) {
    if (payload === null) places.push([-1, -1])
    else {
      const bytes = Buffer.from(payload)
      places.push([at, at + bytes.length])
      pieces.push(bytes, NEIGHBOUR)
      at += bytes.length + NEIGHBOUR.length
    }
  }
  slab.reset(Buffer.concat(pieces), 0n, payloads.length)
  for (const [i, [start, end]] of places.entries()) {
    slab.valueStart[i] = start
    slab.valueEnd[i] = end
  }
  slab.count = payloads.length
  return slab
}

function rowsOf(batch: BatchBuilder): Record<string, unknown>[] {
  const columns = batch.finish()
  return Array.from({ length: columns.rowCount }, (_, i) => batchRow(columns, i))
}
