/**
 * Thrift compact protocol, the writing half: what Parquet page headers, page indexes and footers are made of.
 *
 * thrift-compact-protocol.md › Struct encoding, List and Set. A field is a byte `dddd tttt` (d: how much the field id
 * grew, t: type) and its value; a struct ends with a zero byte. Fields must be written in ascending id order, each id
 * at most 15 above the one before (true of all of parquet.thrift).
 *
 * @module
 */
import assert from 'node:assert/strict'
import { ByteWriter } from './byte-writer.ts'

const TYPE_TRUE = 1
const TYPE_FALSE = 2
const TYPE_I8 = 3
const TYPE_I16 = 4
const TYPE_I32 = 5
const TYPE_I64 = 6
const TYPE_BINARY = 8
const TYPE_LIST = 9
const TYPE_STRUCT = 12

const ID_DELTA_MAX = 15
/** A longer list has its length after the header byte. */
const SHORT_LIST_MAX = 14

export class ThriftWriter {
  private readonly out = new ByteWriter()
  private previousId = 0

  /** A copy of what was written; the writer is empty afterwards. */
  take(): Uint8Array {
    const bytes = this.out.written().slice()
    this.out.clear()
    return bytes
  }

  /** A whole struct: its fields, then the stop byte. */
  struct(writeFields: () => void): void {
    const outerId = this.previousId
    this.previousId = 0
    writeFields()
    this.out.appendByte(0)
    this.previousId = outerId
  }

  bool(id: number, value: boolean): void {
    this.fieldHeader(id, value ? TYPE_TRUE : TYPE_FALSE)
  }

  i8(id: number, value: number): void {
    this.fieldHeader(id, TYPE_I8)
    this.out.appendByte(value)
  }

  i16(id: number, value: number): void {
    this.fieldHeader(id, TYPE_I16)
    this.zigzag(value)
  }

  i32(id: number, value: number): void {
    assert(value === (value | 0), 'a thrift i32 is out of range')
    this.fieldHeader(id, TYPE_I32)
    this.zigzag(value)
  }

  /** @param value a safe integer */
  i64(id: number, value: number): void {
    this.fieldHeader(id, TYPE_I64)
    this.zigzag(value)
  }

  binary(id: number, value: Uint8Array): void {
    this.fieldHeader(id, TYPE_BINARY)
    this.bytes(value)
  }

  string(id: number, value: string): void {
    this.binary(id, utf8Encoder.encode(value))
  }

  field(id: number, writeFields: () => void): void {
    this.fieldHeader(id, TYPE_STRUCT)
    this.struct(writeFields)
  }

  structs<T>(id: number, items: readonly T[], writeFields: (item: T) => void): void {
    this.listHeader(id, items.length, TYPE_STRUCT)
    for (const item of items) this.struct(() => writeFields(item))
  }

  i32s(id: number, items: readonly number[]): void {
    this.listHeader(id, items.length, TYPE_I32)
    for (const item of items) this.zigzag(item)
  }

  i64s(id: number, items: readonly number[]): void {
    this.listHeader(id, items.length, TYPE_I64)
    for (const item of items) this.zigzag(item)
  }

  bools(id: number, items: readonly boolean[]): void {
    this.listHeader(id, items.length, TYPE_TRUE)
    for (const item of items) this.out.appendByte(item ? TYPE_TRUE : TYPE_FALSE)
  }

  binaries(id: number, items: readonly Uint8Array[]): void {
    this.listHeader(id, items.length, TYPE_BINARY)
    for (const item of items) this.bytes(item)
  }

  strings(id: number, items: readonly string[]): void {
    this.binaries(
      id,
      items.map(item => utf8Encoder.encode(item)),
    )
  }

  private fieldHeader(id: number, type: number): void {
    const delta = id - this.previousId
    assert(delta > 0 && delta <= ID_DELTA_MAX, 'thrift fields are out of order')
    this.out.appendByte((delta << 4) | type)
    this.previousId = id
  }

  private listHeader(id: number, length: number, elementType: number): void {
    this.fieldHeader(id, TYPE_LIST)
    if (length <= SHORT_LIST_MAX) this.out.appendByte((length << 4) | elementType)
    else {
      this.out.appendByte(0xf0 | elementType)
      this.out.appendVarint(length)
    }
  }

  private bytes(value: Uint8Array): void {
    this.out.appendVarint(value.length)
    this.out.append(value)
  }

  private zigzag(value: number): void {
    assert(Number.isSafeInteger(value * 2), 'a thrift integer is out of range')
    this.out.appendVarint(value < 0 ? -2 * value - 1 : 2 * value)
  }
}

const utf8Encoder = new TextEncoder()
