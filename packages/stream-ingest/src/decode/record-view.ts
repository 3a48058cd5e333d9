/**
 * A batch of Kafka records as decoding sees it: typed arrays over one flat buffer, so that no record is an object.
 *
 * @module
 */

/** Record `i` has its value at `bytes[valueStart[i] … valueEnd[i])`; −1 is null, as it is for keys. */
export interface RecordView {
  /** Another one whenever the view has other records. */
  readonly generation: number
  readonly count: number
  readonly bytes: Uint8Array
  readonly baseOffset: bigint
  readonly offsetDelta: Int32Array
  /** Epoch milliseconds; −1 where the producer set none. */
  readonly timestamp: Float64Array
  readonly keyStart: Int32Array
  readonly keyEnd: Int32Array
  readonly valueStart: Int32Array
  readonly valueEnd: Int32Array
  readonly headersStart: Int32Array
  readonly headerCount: Int32Array
  readonly recordEnd: Int32Array
}

/** Where the records are from. */
export interface RecordOrigin {
  readonly topic: string
  readonly partition: number
}

/**
 * Walks over the headers of one record: `Header => keyLength key valueLength value`, lengths as zigzag varints.
 * The fields hold the header that `next` came to.
 */
export class HeaderCursor {
  keyStart = 0
  keyEnd = 0
  /** −1 where the value is null. */
  valueStart = -1
  valueEnd = -1
  /** Did a length lead out of the record? Then there is no next header, although there should be. */
  isDamaged = false
  private bytes: Uint8Array = new Uint8Array(0)
  private position = 0
  private end = 0
  private left = 0

  reset(view: RecordView, index: number): void {
    this.bytes = view.bytes
    this.left = view.headerCount[index]!
    this.position = view.headersStart[index]!
    this.end = view.recordEnd[index]!
    this.isDamaged = false
  }

  next(): boolean {
    if (this.left === 0) return false
    this.left--
    const keyLength = Math.max(0, this.readLength())
    this.keyStart = this.position
    this.keyEnd = this.position + keyLength
    this.position = this.keyEnd
    const valueLength = this.readLength()
    this.valueStart = valueLength < 0 ? -1 : this.position
    this.valueEnd = valueLength < 0 ? -1 : this.position + valueLength
    this.position += Math.max(0, valueLength)
    return !this.isDamaged
  }

  private readLength(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      if (this.position >= this.end) break
      const byte = this.bytes[this.position++]!
      value |= (byte & 0x7f) << shift
      if (byte >= 0x80) continue
      const length = (value >>> 1) ^ -(value & 1)
      if (length < -1 || length > this.end - this.position) break
      return length
    }
    this.isDamaged = true
    this.left = 0
    return -1
  }
}
