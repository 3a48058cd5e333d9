/**
 * What has several readers, and ends with the last of them.
 *
 * @module
 */

export class Leases {
  private readonly ended: () => void
  private heldCount = 0

  /** @param ended called when the last lease is ended, after which none may be taken */
  constructor(ended: () => void) {
    this.ended = ended
  }

  /** @returns ends the lease, once; a lease that is never ended leaves what it is for to the garbage collector */
  lease(): () => void {
    this.heldCount++
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      if (--this.heldCount === 0) this.ended()
    }
  }
}
