/**
 * Has a map this key already? Over the keys where they are: the last rows of a builder.
 *
 * @module
 */
import type { BinaryBuilder } from '@stream-ingest/delta/column'
import { hashOf } from './hash.ts'

/** Up to this many keys are compared one by one. */
const LINEAR_MAX = 8

const SLOTS_MIN = 64

export class KeySet {
  private builder: BinaryBuilder | null = null
  private first = 0
  private count = 0
  /** Open-addressed: index of the key after `first`, plus 1. */
  private slots = new Int32Array(SLOTS_MIN)

  /** Starts a map whose keys are the rows that `builder` gets from here on. */
  clear(builder: BinaryBuilder): void {
    this.builder = builder
    this.first = builder.length
    this.count = 0
  }

  /** Adds the builder's last row; false where an equal key is there already. */
  addLast(): boolean {
    const index = this.count++
    if (index < LINEAR_MAX) {
      for (let i = 0; i < index; i++) if (this.isEqual(i, index)) return false
      return true
    }
    if (index === LINEAR_MAX) {
      // A table that one large map has left behind is not cleared again for each small one.
      if (this.slots.length === SLOTS_MIN) this.slots.fill(0)
      else this.slots = new Int32Array(SLOTS_MIN)
      for (let i = 0; i < index; i++) this.insert(i)
    } else if (index * 2 > this.slots.length) {
      this.slots = new Int32Array(this.slots.length * 2)
      for (let i = 0; i < index; i++) this.insert(i)
    }
    return this.insert(index)
  }

  private insert(index: number): boolean {
    const { builder, slots } = this
    const mask = slots.length - 1
    const row = this.first + index
    const hash = hashOf(builder!.data, builder!.startOf(row), builder!.endOf(row))
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      if (slots[slot] === 0) {
        slots[slot] = index + 1
        return true
      }
      if (this.isEqual(slots[slot]! - 1, index)) return false
    }
  }

  private isEqual(left: number, right: number): boolean {
    const builder = this.builder!
    const { data } = builder
    let a = builder.startOf(this.first + left)
    let b = builder.startOf(this.first + right)
    const end = builder.endOf(this.first + left)
    if (end - a !== builder.endOf(this.first + right) - b) return false
    while (a < end && data[a] === data[b]) {
      a++
      b++
    }
    return a === end
  }
}
