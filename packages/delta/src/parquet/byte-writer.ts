/**
 * A buffer that grows, written from front to back.
 *
 * @module
 */

const INITIAL_SIZE_BYTES = 4096

export class ByteWriter {
  bytes: Uint8Array = new Uint8Array(INITIAL_SIZE_BYTES)
  length = 0

  /** Room for `sizeBytes` more. Loops write to `bytes` behind `length` themselves after this. */
  ensure(sizeBytes: number): void {
    const needed = this.length + sizeBytes
    if (needed <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }

  append(bytes: Uint8Array): void {
    this.ensure(bytes.length)
    this.bytes.set(bytes, this.length)
    this.length += bytes.length
  }

  appendByte(byte: number): void {
    this.ensure(1)
    this.bytes[this.length++] = byte
  }

  /** @param value 0 ≤ value < 2^32, little-endian */
  appendUint32(value: number): void {
    this.ensure(4)
    this.setUint32(this.length, value)
    this.length += 4
  }

  /** Overwrites four bytes that are already there. */
  setUint32(at: number, value: number): void {
    this.bytes[at] = value
    this.bytes[at + 1] = value >>> 8
    this.bytes[at + 2] = value >>> 16
    this.bytes[at + 3] = value >>> 24
  }

  /** ULEB128. @param value an integer, 0 ≤ value < 2^53 */
  appendVarint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.appendByte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.appendByte(rest)
  }

  /** The bytes so far, as a view that the next write may overwrite after `clear`. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  clear(): void {
    this.length = 0
  }
}
