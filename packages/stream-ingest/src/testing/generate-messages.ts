/**
 * User events to fill a topic with: the same seed gives the same bytes, and a summary says what a table of them must hold.
 *
 * One message is a JSON object of about 200 bytes:
 *
 * | field        | type                  | values                                                                  |
 * |--------------|-----------------------|-------------------------------------------------------------------------|
 * | `user_id`    | int64, required       | one in sixteen lies beyond ±2^53, where a JavaScript number is not exact |
 * | `event_type` | string, required      | one of {@link EVENT_TYPES}                                               |
 * | `timestamp`  | epoch ms, required    | grows by `intervalMs`                                                    |
 * | `session_id` | string                | 16 hex digits                                                            |
 * | `page`       | string                | a path, some with letters beyond ASCII and escapes                       |
 * | `amount`     | double, or null       | multiples of 0.25, so that sums are exact in any order                   |
 * | `quantity`   | int32                 | 0 to 999                                                                 |
 * | `is_mobile`  | boolean               |                                                                          |
 *
 * @module
 */
import assert from 'node:assert/strict'

export const EVENT_TYPES = ['page_view', 'click', 'search', 'add_to_cart', 'purchase', 'sign_out'] as const
/** Arrays in one another: more than a decoder takes. */
const TOO_DEEP = 200
const PAGES = [
  '/',
  '/products/blue-kettle',
  '/products/café-crème',
  '/search?q=“tea”&sort=price',
  '/checkout\\step\t2',
  '/account/orders/2026/january',
] as const

/** Quoted once: pages are the only values that need escaping. */
const QUOTED_PAGES: ReadonlyMap<string, string> = new Map(PAGES.map(page => [page, JSON.stringify(page)]))

/** 2026-01-01T00:00:00Z. */
const START_TIMESTAMP_MS = 1_767_225_600_000
/** A million messages then span almost three days: several date partitions. */
const INTERVAL_MS = 250
const LARGE_ID_EVERY = 16
const NULL_AMOUNT_EVERY = 8

export interface UserEvent {
  readonly user_id: bigint
  readonly event_type: string
  readonly timestamp: number
  readonly session_id: string
  readonly page: string
  readonly amount: number | null
  readonly quantity: number
  readonly is_mobile: boolean
}

/**
 * What is wrong with a corrupt message, each a different way for a reader to stumble: none fits a schema of the three
 * required fields. In `renamed` the id is called `userId`, and in `nested` it is `user.id`: a corrected schema takes those.
 */
export const CORRUPTIONS = [
  'truncated',
  'wrong-type',
  'missing-required',
  'not-utf8',
  'empty',
  'trailing-bytes',
  'array',
  'null-text',
  'string',
  'unquoted-key',
  'single-quotes',
  'trailing-comma',
  'control-character',
  'bad-escape',
  'utf-16',
  'not-a-number',
  'out-of-range',
  'fraction',
  'too-deep',
  'bad-timestamp',
  'null-event-type',
  'renamed',
  'nested',
] as const
export type Corruption = (typeof CORRUPTIONS)[number]

export interface GeneratedMessage {
  readonly index: number
  /** The user id in decimal, as ASCII. */
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** The event's own time, to be the record's. */
  readonly timestampMs: number
  /** The row that a table must hold; null where the message is corrupt. */
  readonly event: UserEvent | null
  readonly corruption: Corruption | null
}

export interface GeneratorOptions {
  /** Any 32-bit integer. */
  readonly seed: number
  readonly count: number
  /** In [0, 1]: how many messages are corrupt, on average. Default 0. */
  readonly corruptShare?: number
  /** Of the first message. Default 2026-01-01T00:00:00Z. */
  readonly startTimestampMs?: number
  /** From message to message. Default 250. */
  readonly intervalMs?: number
}

/** Generates lazily: a million messages need no more memory than one. */
export function* generateMessages(options: GeneratorOptions): Generator<GeneratedMessage, void, undefined> {
  const { seed, count, corruptShare = 0 } = options
  assert(Number.isInteger(count) && count >= 0, 'count is a whole number')
  assert(corruptShare >= 0 && corruptShare <= 1, 'corruptShare is a share')
  const random = createRandom(seed)
  for (let index = 0; index < count; index++) {
    const event = createEvent(random, index, options)
    const isCorrupt = random() < corruptShare
    const corruption = isCorrupt ? CORRUPTIONS[Math.floor(random() * CORRUPTIONS.length)]! : null
    yield {
      index,
      key: Buffer.from(String(event.user_id), 'latin1'),
      value: corruption === null ? encodeEvent(event) : corrupt(event, corruption),
      timestampMs: event.timestamp,
      event: corruption === null ? event : null,
      corruption,
    }
  }
}

function createEvent(random: () => number, index: number, options: GeneratorOptions): UserEvent {
  const { startTimestampMs = START_TIMESTAMP_MS, intervalMs = INTERVAL_MS } = options
  const pick = (bound: number): number => Math.floor(random() * bound)
  return {
    user_id: pick(LARGE_ID_EVERY) === 0 ? largeId(random) : BigInt(pick(1_000_000)),
    event_type: EVENT_TYPES[pick(EVENT_TYPES.length)]!,
    timestamp: startTimestampMs + index * intervalMs,
    session_id: hex32(random) + hex32(random),
    page: PAGES[pick(PAGES.length)]!,
    amount: pick(NULL_AMOUNT_EVERY) === 0 ? null : pick(40_000) / 4,
    quantity: pick(1_000),
    is_mobile: pick(2) === 1,
  }
}

/** Over the whole range of int64, both signs. */
function largeId(random: () => number): bigint {
  return BigInt.asIntN(64, BigInt(`0x${hex32(random)}${hex32(random)}`))
}

function hex32(random: () => number): string {
  return Math.floor(random() * 0x1_0000_0000)
    .toString(16)
    .padStart(8, '0')
}

function encodeEvent(event: UserEvent): Uint8Array {
  return Buffer.from(formatEvent(event, String(event.user_id)), 'utf8')
}

/** JSON by hand, because `JSON.stringify` knows no 64-bit integers. */
function formatEvent(event: UserEvent, userId: string): string {
  return (
    `{"user_id":${userId},"event_type":"${event.event_type}","timestamp":${event.timestamp},` +
    `"session_id":"${event.session_id}","page":${QUOTED_PAGES.get(event.page)},"amount":${event.amount},` +
    `"quantity":${event.quantity},"is_mobile":${event.is_mobile}}`
  )
}

function corrupt(event: UserEvent, corruption: Corruption): Uint8Array {
  const sound = encodeEvent(event)
  switch (corruption) {
    case 'truncated':
      return sound.subarray(0, Math.floor(sound.length / 2))
    case 'wrong-type':
      return Buffer.from(formatEvent(event, '"nobody"'), 'utf8')
    case 'missing-required':
      return Buffer.from(formatEvent(event, 'null'), 'utf8')
    case 'not-utf8': {
      const bytes = new Uint8Array(sound)
      bytes[bytes.indexOf(0x2f, Buffer.from(sound).indexOf('"page":'))] = 0xff
      return bytes
    }
    case 'empty':
      return new Uint8Array(0)
    case 'utf-16':
      return Buffer.from(formatEvent(event, String(event.user_id)), 'utf16le')
    default:
      return Buffer.from(corruptText(event, formatEvent(event, String(event.user_id)), corruption), 'utf8')
  }
}

function corruptText(
  event: UserEvent,
  sound: string,
  corruption: Exclude<
    Corruption,
    'truncated' | 'wrong-type' | 'missing-required' | 'not-utf8' | 'empty' | 'utf-16'
  >,
): string {
  const eventType = `"event_type":"${event.event_type}"`
  switch (corruption) {
    case 'trailing-bytes':
      return `${sound}}`
    case 'array':
      return `[${sound}]`
    case 'null-text':
      return 'null'
    case 'string':
      return JSON.stringify(sound)
    case 'unquoted-key':
      return sound.replace('"user_id"', 'user_id')
    case 'single-quotes':
      return sound.replaceAll('"', "'")
    case 'trailing-comma':
      return sound.replace(/\}$/, ',}')
    case 'control-character':
      return sound.replace(eventType, '"event_type":"a\u0001b"')
    case 'bad-escape':
      return sound.replace(eventType, '"event_type":"a\\xb"')
    case 'not-a-number':
      return formatEvent(event, 'NaN')
    case 'out-of-range':
      return formatEvent(event, '9223372036854775808')
    case 'fraction':
      return formatEvent(event, '1.5')
    case 'too-deep':
      return sound.replace(/\}$/, `,"more":${'['.repeat(TOO_DEEP)}${']'.repeat(TOO_DEEP)}}`)
    case 'bad-timestamp':
      return sound.replace(`"timestamp":${event.timestamp}`, '"timestamp":"soon"')
    case 'null-event-type':
      return sound.replace(eventType, '"event_type":null')
    case 'renamed':
      return sound.replace('"user_id"', '"userId"')
    case 'nested':
      return sound.replace(/^\{"user_id":(-?\d+)/, '{"user":{"id":$1}')
  }
}

/** What a table must hold of one column. `sum` is null for strings; of booleans it counts the true ones. */
export interface ColumnSummary {
  readonly nullCount: number
  readonly min: bigint | number | string | boolean | null
  readonly max: bigint | number | string | boolean | null
  readonly sum: bigint | number | null
}

export interface MessageSummary {
  /** Messages added, corrupt ones included. */
  readonly messageCount: number
  readonly rowCount: number
  readonly corruptCount: number
  readonly columns: Readonly<Record<keyof UserEvent, ColumnSummary>>
}

interface Accumulator {
  nullCount: number
  min: bigint | number | string | boolean | null
  max: bigint | number | string | boolean | null
  sum: bigint | number | null
}

/** Computes from the messages what a query over the finished table must return. */
export class MessageSummaryBuilder {
  #messageCount = 0
  #rowCount = 0
  readonly #columns: Record<keyof UserEvent, Accumulator> = {
    user_id: accumulator(0n),
    event_type: accumulator(null),
    timestamp: accumulator(0n),
    session_id: accumulator(null),
    page: accumulator(null),
    amount: accumulator(0),
    quantity: accumulator(0n),
    is_mobile: accumulator(0n),
  }

  add(message: Pick<GeneratedMessage, 'event'>): void {
    this.#messageCount++
    const { event } = message
    if (event === null) return
    this.#rowCount++
    const columns = this.#columns
    include(columns.user_id, event.user_id)
    include(columns.event_type, event.event_type)
    include(columns.timestamp, event.timestamp)
    include(columns.session_id, event.session_id)
    include(columns.page, event.page)
    include(columns.amount, event.amount)
    include(columns.quantity, event.quantity)
    include(columns.is_mobile, event.is_mobile)
  }

  /** A copy of the state so far. Integer sums are `bigint`s; strings compare by their UTF-8 bytes. */
  summary(): MessageSummary {
    return {
      messageCount: this.#messageCount,
      rowCount: this.#rowCount,
      corruptCount: this.#messageCount - this.#rowCount,
      columns: structuredClone(this.#columns),
    }
  }
}

function accumulator(sum: bigint | number | null): Accumulator {
  return { nullCount: 0, min: null, max: null, sum }
}

function include(column: Accumulator, value: bigint | number | string | boolean | null): void {
  if (value === null) {
    column.nullCount++
    return
  }
  if (column.min === null || isBelow(value, column.min)) column.min = value
  if (column.max === null || isBelow(column.max, value)) column.max = value
  if (typeof column.sum === 'bigint') column.sum += BigInt(value)
  else if (typeof column.sum === 'number') column.sum += Number(value)
}

/** All strings here lie in the basic plane: UTF-16 order is UTF-8 order. */
function isBelow(
  left: bigint | number | string | boolean,
  right: bigint | number | string | boolean,
): boolean {
  return left < right
}

/** Mulberry32: small, fast, and the same everywhere. Returns numbers in [0, 1). */
export function createRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }
}
