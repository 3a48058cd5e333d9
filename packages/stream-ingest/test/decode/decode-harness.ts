import {
  array,
  type DataType,
  decimal,
  field,
  map,
  type PrimitiveName,
  primitive,
  struct,
} from '@stream-ingest/delta'
import { BatchBuilder, batchRow } from '@stream-ingest/delta/column'
import type { DecodeField, DecodeSource } from '../../src/config/decode-field.ts'
import type { BadRecordReason } from '../../src/decode/decoder.ts'
import { createJsonDecoder } from '../../src/decode/json-decoder.ts'

type FieldOptions = Partial<Omit<DecodeField, 'name' | 'type'>>

/** A field read from the payload's key of its own name. */
export function payloadField(name: string, type: DataType, options: FieldOptions = {}): DecodeField {
  const declaredType = type.kind === 'primitive' ? type.name : type.kind
  return { name, type, declaredType, nullable: true, source: at(name), ...options }
}

export function at(...path: string[]): DecodeSource {
  return { kind: 'payload', path }
}

export function scalar(name: string, type: PrimitiveName, options: FieldOptions = {}): DecodeField {
  return payloadField(name, primitive(type), options)
}

export function decimalOf(name: string, precision: number, scale: number, options: FieldOptions = {}) {
  return payloadField(name, decimal(precision, scale), options)
}

export function listOf(name: string, element: DecodeField, options: FieldOptions = {}): DecodeField {
  return payloadField(name, array(element.type, element.nullable), {
    element: { ...element, source: { kind: 'payload', path: [] } },
    ...options,
  })
}

export function mapOf(name: string, value: DecodeField, options: FieldOptions = {}): DecodeField {
  const key = scalar('key', 'string', { nullable: false, source: { kind: 'payload', path: [] } })
  return payloadField(name, map(primitive('string'), value.type, value.nullable), { key, value, ...options })
}

export function structOf(name: string, fields: readonly DecodeField[], options: FieldOptions = {}) {
  return payloadField(name, struct(fields.map(f => field(f.name, f.type, f.nullable))), {
    fields,
    ...options,
  })
}

export interface Decoded {
  readonly row: Record<string, unknown> | null
  readonly bad: BadRecordReason | null
}

/** Decodes one payload after another; a bad one is rolled back as the pipeline does it. */
export class DecodeHarness {
  readonly batch: BatchBuilder
  private readonly decoder

  constructor(fields: readonly DecodeField[], depthMax?: number) {
    this.batch = new BatchBuilder(struct(fields.map(f => field(f.name, f.type, f.nullable))))
    this.decoder = createJsonDecoder(fields, this.batch.columns, depthMax === undefined ? {} : { depthMax })
  }

  /** Null where the row was appended. Each payload has a neighbour on both sides, as in a record batch. */
  append(payload: string | Uint8Array): BadRecordReason | null {
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
    const before = Buffer.from('{"a":1}')
    const buffer = Buffer.concat([before, bytes, Buffer.from(NEIGHBOUR)])
    const bad = this.decoder.decode(buffer, before.length, before.length + bytes.length)
    if (bad === null) this.batch.endRow()
    else this.batch.rollBackRow()
    return bad
  }

  appendNull(): BadRecordReason | null {
    const bad = this.decoder.decodeNull()
    if (bad === null) this.batch.endRow()
    else this.batch.rollBackRow()
    return bad
  }

  rows(): Record<string, unknown>[] {
    const columns = this.batch.finish()
    return Array.from({ length: columns.rowCount }, (_, i) => batchRow(columns, i))
  }
}

/** What a payload that is cut off would run into: it must never complete it. */
const NEIGHBOUR = '"}]}1,"a":2}]]}}'

/** Decodes a single payload. */
export function decodeOne(fields: readonly DecodeField[], payload: string | Uint8Array): Decoded {
  const harness = new DecodeHarness(fields)
  const bad = harness.append(payload)
  const rows = harness.rows()
  return { row: rows[0] ?? null, bad }
}

/** Decodes the JSON text of one value into a nullable column `v`. */
export function decodeValue(v: DecodeField, json: string): { value: unknown } | { bad: string } {
  const { row, bad } = decodeOne([v], `{"${v.name}":${json}}`)
  return bad === null ? { value: row![v.name] } : { bad: bad.message }
}
