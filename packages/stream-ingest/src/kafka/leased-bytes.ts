/**
 * Memory with several readers, given back when the last of them is done.
 *
 * @module
 */
import { freeBytes } from '@stream-ingest/delta/column'

export class LeasedBytes {
  private readonly bytes: Uint8Array
  private leaseCount = 0

  /** @param bytes all of their memory, and nobody reads them without a lease */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  /**
   * The bytes stay as long as this lease, or another one, is held.
   * @returns ends the lease, once; a lease that is not ended leaves the bytes to the garbage collector
   */
  lease(): () => void {
    this.leaseCount++
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      if (--this.leaseCount === 0) freeBytes(this.bytes)
    }
  }
}
