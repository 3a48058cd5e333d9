/**
 * Memory for arrays that all end together: taken one behind the other, given back all at once, used again.
 *
 * The garbage collector counts what typed arrays hold and runs the more often for it; arrays that live for the encoding
 * of one file need not be its business.
 *
 * @module
 */

/** Pieces are at least this large. */
const PIECE_MIN_BYTES = 1 << 20
/** Kept from one use to the next; beyond that, memory goes back. */
export const ARENA_KEPT_MAX_BYTES: number = 64 << 20
/** Every array begins where any type of element may. */
const ALIGNMENT_BYTES = 8

export type ArenaArray =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigInt64Array

export interface ArenaArrayType<T extends ArenaArray> {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T
}

export class Arena {
  private pieces: ArrayBuffer[] = []
  private pieceIndex = 0
  private used = 0

  /** What it holds, in use or not. */
  get sizeBytes(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.byteLength, 0)
  }

  /** An array with anything in it, valid until {@link reset}. */
  take<T extends ArenaArray>(type: ArenaArrayType<T>, length: number): T {
    const sizeBytes = length * type.BYTES_PER_ELEMENT
    for (; this.pieceIndex < this.pieces.length; this.pieceIndex++, this.used = 0) {
      const piece = this.pieces[this.pieceIndex]!
      if (piece.byteLength - this.used >= sizeBytes) return this.takeFrom(piece, type, length, sizeBytes)
    }
    const piece = new ArrayBuffer(Math.max(PIECE_MIN_BYTES, sizeBytes))
    this.pieces.push(piece)
    return this.takeFrom(piece, type, length, sizeBytes)
  }

  /** Takes everything back: what was handed out must not be used any more. */
  reset(): void {
    this.pieceIndex = 0
    this.used = 0
    if (this.pieces.length < 2) {
      if (this.sizeBytes > ARENA_KEPT_MAX_BYTES) this.pieces = []
      return
    }
    // One piece of the whole size next time, so that nothing is left over at the ends of many.
    const sizeBytes = this.sizeBytes
    this.pieces = sizeBytes > ARENA_KEPT_MAX_BYTES ? [] : [new ArrayBuffer(sizeBytes)]
  }

  private takeFrom<T extends ArenaArray>(
    piece: ArrayBuffer,
    type: ArenaArrayType<T>,
    length: number,
    sizeBytes: number,
  ): T {
    const taken = new type(piece, this.used, length)
    this.used += Math.ceil(sizeBytes / ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    return taken
  }
}
