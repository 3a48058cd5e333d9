/**
 * Columns that come from a Kafka key or header: bytes without quotes around text.
 *
 * Text and binary columns take the bytes as they are; instants, dates and decimals their text; all others JSON.
 *
 * @module
 */
import type { BinaryBuilder, ColumnBuilder } from '@stream-ingest/delta/column'
import type { DecodeField } from '../config/decode-field.ts'
import { excerpt } from './found-value.ts'
import { JsonDecoder } from './json-decoder.ts'
import { ObjectPlan, planValue, type ValuePlan } from './json-plan.ts'
import { isUtf8 } from './utf8.ts'
import {
  appendDayNumber,
  appendDayText,
  appendDecimal,
  appendInstantInteger,
  appendInstantText,
  type Misfit,
} from './value-text.ts'

const SCRATCH_INITIAL_BYTES = 256

export class TextValue {
  private readonly plan: ValuePlan
  private readonly json: JsonDecoder
  private scratch: Uint8Array = new Uint8Array(SCRATCH_INITIAL_BYTES)

  constructor(field: DecodeField, builder: ColumnBuilder, depthMax: number) {
    this.plan = planValue(field, builder)
    this.json = new JsonDecoder(new ObjectPlan(new Map()), depthMax)
  }

  /** Appends the value of `[start, end)`, or says why it does not fit; `start` −1 is null. */
  append(b: Uint8Array, start: number, end: number): string | null {
    const { plan } = this
    if (start < 0) {
      if (!plan.nullable) return `expected ${plan.expected} that is not null, found nothing`
      plan.builder.appendNull()
      return null
    }
    switch (plan.kind) {
      case 'utf8':
        if (!isUtf8(b, start, end)) return `expected ${plan.expected}, found bytes that are not UTF-8`
        ;(plan.builder as BinaryBuilder).appendRange(b, start, end)
        return null
      case 'binary':
        ;(plan.builder as BinaryBuilder).appendRange(b, start, end)
        return null
      case 'timestamp':
        return this.appendEither(b, start, end, appendInstantInteger, appendInstantText)
      case 'date':
        return this.appendEither(b, start, end, appendDayNumber, appendDayText)
      case 'decimal':
        return this.describe(appendDecimal(plan, b, start, end), b, start, end)
      default:
        return this.appendJson(b, start, end)
    }
  }

  private appendEither(
    b: Uint8Array,
    start: number,
    end: number,
    asNumber: (plan: ValuePlan, b: Uint8Array, start: number, end: number) => Misfit,
    asText: (plan: ValuePlan, b: Uint8Array, start: number, end: number) => Misfit,
  ): string | null {
    const misfit = asNumber(this.plan, b, start, end)
    return this.describe(misfit === '' ? asText(this.plan, b, start, end) : misfit, b, start, end)
  }

  /** A copy with a byte behind it that ends any number: in the record something else follows. */
  private appendJson(b: Uint8Array, start: number, end: number): string | null {
    const length = end - start
    if (this.scratch.length <= length) {
      this.scratch = new Uint8Array(Math.max(length + 1, this.scratch.length * 2))
    }
    this.scratch.set(b.subarray(start, end))
    this.scratch[length] = 0
    return this.json.decodeWhole(this.plan, this.scratch, 0, length)
  }

  private describe(misfit: Misfit, b: Uint8Array, start: number, end: number): string | null {
    if (misfit === null) return null
    const remark = misfit === '' ? '' : ` (${misfit})`
    return `expected ${this.plan.expected}, found "${excerpt(b, start, end)}"${remark}`
  }
}
