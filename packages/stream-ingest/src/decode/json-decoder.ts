/**
 * The JSON decoder: payload bytes straight into column builders, directed by the schema.
 *
 * On the good path no string, no object and no BigInt is made.
 *
 * @module
 */
import type { ColumnBuilder } from '@stream-ingest/delta/column'
import type { DecodeField } from '../config/decode-field.ts'
import type { BadRecordReason, Decoder } from './decoder.ts'
import { boundedPath, describeJsonValue } from './found-value.ts'
import { type ObjectPlan, planPayload, type ValuePlan } from './json-plan.ts'
import { MISFIT } from './json-scalar-decoder.ts'
import { JSON_DEPTH_MAX } from './json-scanner.ts'
import { appendMissing, JsonValueDecoder } from './json-value-decoder.ts'

export interface JsonDecoderLimits {
  /** Deepest nesting of objects and arrays; {@link JSON_DEPTH_MAX} by default. */
  readonly depthMax?: number
}

export interface JsonDecoderOptions extends JsonDecoderLimits {
  /**
   * Note unknown fields: those that hold a value and that no column reads, in every object that a column takes whole.
   * These names, in lower case, are known at the top although no column reads them. Absent: nobody wants to know.
   */
  readonly leftOut?: ReadonlySet<string>
}

/**
 * A decoder for the fields whose source is the payload; the others are somebody else's to append. `builders[i]` belongs
 * to `fields[i]`.
 *
 * After a bad record the builders are in any state: roll the row back.
 */
export function createJsonDecoder(
  fields: readonly DecodeField[],
  builders: readonly ColumnBuilder[],
  options: JsonDecoderOptions = {},
): Decoder {
  const plan = planPayload(fields, builders, options.leftOut ?? null)
  return new JsonDecoder(plan, options.depthMax ?? JSON_DEPTH_MAX)
}

export class JsonDecoder extends JsonValueDecoder implements Decoder {
  private readonly plan: ObjectPlan

  constructor(plan: ObjectPlan, depthMax: number) {
    super(depthMax)
    this.plan = plan
  }

  /** Has the payload that was last decoded a field that no column takes? */
  get metUnknownField(): boolean {
    return this.metUnknown
  }

  decode(buffer: Uint8Array, start: number, end: number): BadRecordReason | null {
    this.enter(buffer, start, end)
    let p = start
    if (p < end && buffer[p]! <= 0x20) p = this.skipSpace(p)
    if (buffer[p] !== 0x7b || p >= end) return this.notAnObject(p)
    p = this.decodeMembers(this.plan, p + 1, 1)
    if (p >= 0 && p < end) {
      p = this.skipSpace(p)
      if (p < end) p = this.fail(p, 'the end of the payload')
    }
    if (p === end) return null
    if (p > end) p = this.fail(p, 'the rest of the object')
    return p === MISFIT ? this.badRecord() : notJson(this.problem)
  }

  /** Before values of a payload are decoded one by one; `[start, end)` of `buffer` is JSON. */
  enter(buffer: Uint8Array, start: number, end: number): void {
    this.metUnknown = false
    this.bytes = buffer
    this.start = start
    this.end = end
  }

  /** Decodes the value of this member of the payload, which is at `from`. False where it does not fit: roll the row back. */
  decodeMember(member: ValuePlan, from: number): boolean {
    return this.decodeValue(member, from, 1) >= 0
  }

  decodeNull(): BadRecordReason | null {
    this.metUnknown = false
    for (const [index, member] of this.plan.members.entries()) {
      if (!member.nullable) {
        this.noteMissing(this.plan.names[index]!, member)
        return this.badRecord()
      }
    }
    for (const member of this.plan.members) appendMissing(member)
    return null
  }

  /** Decodes one JSON value that fills `[start, end)`: a Kafka key or header. Null where it was appended. */
  decodeWhole(plan: ValuePlan, buffer: Uint8Array, start: number, end: number): string | null {
    this.bytes = buffer
    this.start = start
    this.end = end
    let p = this.decodeValue(plan, this.skipSpace(start), 0)
    if (p >= 0) p = this.skipSpace(p)
    if (p === end) return null
    if (p >= 0) this.fail(p, p > end ? 'the rest of a value' : 'the end of the value')
    return p === MISFIT ? this.misfitMessage : `expected ${plan.expected}: ${this.problem}`
  }

  private notAnObject(from: number): BadRecordReason {
    const { bytes: b, start, end } = this
    if (start >= end) return notJson('the payload is empty')
    if (from >= end) return notJson('the payload is blank')
    if (b[start] === 0xef && b[start + 1] === 0xbb && b[start + 2] === 0xbf) {
      return notJson('the payload starts with a byte order mark')
    }
    const to = this.skipValue(from, 0)
    const rest = to < 0 ? to : this.skipSpace(to)
    if (rest >= 0 && rest !== end) this.fail(rest, 'the end of the payload')
    if (rest !== end) return notJson(this.problem)
    const message = `expected a JSON object, found ${describeJsonValue(b, from, to)}`
    return { code: 'RECORD_INVALID', path: '$', column: null, message }
  }

  private badRecord(): BadRecordReason {
    return {
      code: 'RECORD_INVALID',
      path: boundedPath(`$${this.misfitPath}`),
      column: this.misfitColumn,
      message: this.misfitMessage,
    }
  }
}

function notJson(message: string): BadRecordReason {
  return { code: 'RECORD_NOT_JSON', path: '$', column: null, message }
}
