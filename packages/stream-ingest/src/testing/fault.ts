/**
 * Faults that a test orders in advance: the next requests of one API fail in a chosen way.
 *
 * @module
 */
import type { ProtocolErrorCode } from './protocol-error.ts'

/** Orders that are not yet spent. */
const FAULTS_MAX = 10_000

/**
 * - a number: this error code, where the API's response carries errors (per partition where it has partitions);
 * - `disconnect`: the connection is closed without an answer, before the request takes effect;
 * - `lose-response`: the request takes effect, then the connection is closed without an answer;
 * - `hang`: no answer ever comes on this connection; it stays open.
 */
export type Fault = ProtocolErrorCode | 'disconnect' | 'lose-response' | 'hang'

/** Narrows an error code to one topic or one partition of the request; the others are served. */
export interface FaultPlace {
  readonly topic?: string
  readonly partition?: number
}

interface OrderedFault {
  readonly fault: Fault
  readonly place: FaultPlace
  times: number
}

export interface TakenFault {
  readonly fault: Fault
  readonly place: FaultPlace
}

export class FaultPlan {
  readonly #byApiKey = new Map<number, OrderedFault[]>()
  #count = 0

  /** Orders one fault for the next `times` requests of this API, after those ordered before. */
  order(apiKey: number, fault: Fault, times: number, place: FaultPlace): void {
    if (this.#count >= FAULTS_MAX) throw new RangeError(`more than ${FAULTS_MAX} faults are ordered`)
    const orders = this.#byApiKey.get(apiKey) ?? []
    orders.push({ fault, place, times })
    this.#byApiKey.set(apiKey, orders)
    this.#count++
  }

  /** The fault for the request that has arrived, spent by this call; null lets it through. */
  take(apiKey: number): TakenFault | null {
    const orders = this.#byApiKey.get(apiKey)
    const [order] = orders ?? []
    if (orders === undefined || order === undefined) return null
    order.times--
    if (order.times <= 0) {
      orders.shift()
      this.#count--
    }
    return order
  }

  clear(): void {
    this.#byApiKey.clear()
    this.#count = 0
  }
}

/** The code that a taken fault puts on this partition (or, without a place, on the whole response); 0 is none. */
export function faultCode(taken: TakenFault | null, topic?: string, partition?: number): ProtocolErrorCode {
  if (taken === null || typeof taken.fault !== 'number') return 0
  const { place } = taken
  if (place.topic !== undefined && place.topic !== topic) return 0
  if (place.partition !== undefined && place.partition !== partition) return 0
  return taken.fault
}
