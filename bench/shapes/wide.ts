/**
 * Readings with thirty columns: numbers of every kind, short strings, some fields missing and some null.
 *
 * @module
 */
import { Chance } from './random.ts'
import { type Column, type Shape, type ShapeMessage, START_TIMESTAMP_MS } from './shape.ts'

const INTERVAL_MS = 500
const COUNTERS = Array.from({ length: 8 }, (_, i) => `counter_${i + 1}`)
const GAUGES = Array.from({ length: 8 }, (_, i) => `gauge_${i + 1}`)
const FLAGS = Array.from({ length: 4 }, (_, i) => `flag_${i + 1}`)
const SITES = ['north', 'south', 'east', 'west'] as const
const MODELS = ['TX-100', 'TX-200', 'TX-200b', 'RZ-7', 'RZ-9'] as const
const STATES = ['ok', 'degraded', 'offline', 'maintenance'] as const
const NULL_EVERY = 10
const MISSING_EVERY = 20

const numbers = (names: readonly string[], type: Column['type']): readonly Column[] =>
  names.map(name => ({ name, type }))

export const wideReadings: Shape = {
  name: 'wide',
  title: 'readings with 30 columns',
  columns: [
    { name: 'device_id', type: 'int64', required: true },
    { name: 'read_at', type: 'timestamp_millisecond', required: true },
    { name: 'received_at', type: 'timestamp_millisecond' },
    { name: 'site', type: 'utf8' },
    { name: 'model', type: 'utf8' },
    { name: 'firmware', type: 'utf8' },
    { name: 'state', type: 'utf8' },
    { name: 'serial', type: 'utf8' },
    { name: 'sequence', type: 'int32' },
    { name: 'retries', type: 'int32' },
    ...numbers(COUNTERS, 'int64'),
    ...numbers(GAUGES, 'float64'),
    ...numbers(FLAGS, 'boolean'),
  ],
  count: 700_000,
  quickCount: 100_000,
  messages: readings,
}

function* readings(seed: number, count: number): Generator<ShapeMessage, void, undefined> {
  const chance = new Chance(seed)
  for (let index = 0; index < count; index++) {
    const readAt = START_TIMESTAMP_MS + index * INTERVAL_MS
    const deviceId = chance.below(50_000)
    const reading: Record<string, unknown> = {
      device_id: deviceId,
      read_at: readAt,
      received_at: readAt + chance.below(5_000),
      site: chance.pick(SITES),
      model: chance.pick(MODELS),
      firmware: `${1 + chance.below(4)}.${chance.below(20)}.${chance.below(100)}`,
      state: chance.pick(STATES),
      serial: `${chance.hex32()}-${chance.hex32()}`,
      sequence: index,
      retries: chance.below(4),
    }
    for (const name of COUNTERS) reading[name] = chance.below(2 ** 40)
    for (const name of GAUGES) {
      if (chance.once(MISSING_EVERY)) continue
      reading[name] = chance.once(NULL_EVERY) ? null : chance.below(1_000_000) / 1_000
    }
    for (const name of FLAGS) reading[name] = chance.once(2)
    yield {
      key: Buffer.from(String(deviceId), 'latin1'),
      value: Buffer.from(JSON.stringify(reading), 'utf8'),
      timestampMs: readAt,
    }
  }
}
