/**
 * `tests:`: records, and the rows that the configuration is to make of them; `stream-ingest test` runs them.
 *
 * @module
 */
import type { ConfigNode } from './config-node.ts'
import type { ConfigReader } from './config-reader.ts'
import {
  type Expectation,
  type ExpectedBad,
  jsonOf,
  type WrittenMap,
  type WrittenValue,
  type Written as WrittenWith,
} from './config-test.ts'
import type { Span } from './diagnostic.ts'
import { enumeration, type FieldType, integer, scalarOf, text } from './field-type.ts'
import { parseInstantMs } from './kafka-section.ts'
import { optional, readSection, required, type SectionReading, type SectionSpec, section } from './section.ts'
import { readWritten } from './written-value.ts'

export const TESTS_MAX = 1_000
/** Records of one test; so many rows can be expected too. */
export const TEST_RECORDS_MAX = 1_000
const TEST_NAME_LENGTH_MAX = 200
const RECORD_TEXT_LENGTH_MAX = 1024 * 1024
const PARTITION_MAX = 2 ** 31 - 1
/** The next offset is an int64 too. */
const OFFSET_MAX = 2n ** 63n - 2n
/** The year 9999. */
const TIMESTAMP_MAX_MS = 253_402_300_799_999

/** Codes of records that do not fit. */
export const BAD_RECORD_CODES = ['RECORD_NOT_JSON', 'RECORD_INVALID'] as const

/** Values of records and rows: each key has whatever the payload or the table has there. */
const ANY_VALUE = 'any value'

function written(): FieldType<WrittenValue> {
  return {
    label: ANY_VALUE,
    expected: ANY_VALUE,
    jsonSchema: {},
    read: (node, reader) => readWritten(node, reader, false),
  }
}

const bytesText = (words: { label: string; expected: string }) =>
  text({ ...words, allowEmpty: true, allowBoolean: true, lengthMax: RECORD_TEXT_LENGTH_MAX })

const plainText = bytesText({ label: 'text', expected: 'a text' })

/** RFC 4648 › Base 64 Encoding, with its padding. */
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

function base64(): FieldType<Uint8Array> {
  const base = text({ allowEmpty: true, expected: 'base64', lengthMax: RECORD_TEXT_LENGTH_MAX })
  return {
    ...base,
    label: 'base64',
    read(node, reader, keySpan) {
      const value = base.read(node, reader, keySpan)
      if (value === undefined) return undefined
      const compact = value.replaceAll(/\s/g, '')
      if (BASE64.test(compact)) return Buffer.from(compact, 'base64')
      reader.mismatch(node, 'base64')
      return undefined
    },
  }
}

type Header = readonly [name: string, value: Uint8Array | null]

function headers(): FieldType<readonly Header[]> {
  const expected = 'a map of header names to texts'
  return {
    label: 'map of text',
    expected,
    jsonSchema: { type: 'object' },
    read(node, reader) {
      if (node.kind !== 'map') {
        reader.mismatch(node, expected, 'write `{ trace-id: abc }`')
        return undefined
      }
      const errorsBefore = reader.sink.errorCount
      // A name that comes several times has a list.
      const found = node.entries.flatMap(({ key, value }): Header[] =>
        (value.kind === 'list' ? value.items : [value]).map(item => {
          if (reader.isUnset(item)) return [key, null]
          return [key, Buffer.from(plainText.read(item, reader) ?? '')]
        }),
      )
      return reader.sink.errorCount > errorsBefore ? undefined : found
    },
  }
}

function recordTimestamp(): FieldType<number | 'none'> {
  const expected = 'an ISO-8601 time, epoch milliseconds or `none`'
  return {
    label: 'time \\| milliseconds \\| `none`',
    expected,
    jsonSchema: { type: ['string', 'integer'] },
    read(node, reader) {
      const scalar = scalarOf(node, reader, expected)
      if (scalar === undefined) return undefined
      if (scalar.text === 'none') return 'none'
      const ms = /^\d{1,15}$/.test(scalar.text) ? Number(scalar.text) : parseInstantMs(scalar.text)
      if (ms !== null && ms >= 0 && ms <= TIMESTAMP_MAX_MS) return ms
      reader.mismatch(node, expected, 'write `2026-11-22T10:00:00Z`; Kafka’s timestamps start in 1970')
      return undefined
    },
  }
}

function recordOffset(): FieldType<bigint> {
  const expected = `an offset, from 0 to ${OFFSET_MAX}`
  return {
    label: 'offset',
    expected,
    jsonSchema: { type: ['integer', 'string'] },
    read(node, reader) {
      const scalar = scalarOf(node, reader, expected)
      if (scalar === undefined) return undefined
      const offset = /^\d{1,19}$/.test(scalar.text) ? BigInt(scalar.text) : null
      if (offset !== null && offset <= OFFSET_MAX) return offset
      reader.mismatch(node, expected)
      return undefined
    },
  }
}

/** One record of a test. */
export const testRecordSection = section(
  'tests.input',
  'A record as Kafka would give it. One of `payload`, `payload_text` and `payload_base64` is given.',
  {
    payload: optional<WrittenValue>(written(), {
      description: 'The value, written as YAML or JSON; numbers keep their digits. `null` is a tombstone.',
      example: '{ user_id: 7, amount: 12.50 }',
    }),
    payload_text: optional<string>(plainText, {
      description: 'The value as it stands in the topic, JSON or not.',
      example: '"{\\"user_id\\": 7"',
    }),
    payload_base64: optional<Uint8Array>(base64(), {
      description: 'The value as bytes.',
      example: 'eyJhIjoxfQ==',
    }),
    key: optional<string>(plainText, { description: 'The key.', example: 'order-7', defaultText: 'no key' }),
    key_base64: optional<Uint8Array>(base64(), { description: 'The key as bytes.', example: 'AAE=' }),
    headers: optional<readonly Header[]>(headers(), {
      description:
        'Headers by name; `null` for one without a value, a list for a name that comes several times.',
      example: '{ trace-id: abc }',
      defaultText: 'no headers',
    }),
    timestamp: optional<number | 'none'>(recordTimestamp(), {
      description: 'Kafka’s timestamp; `none` for a record without one.',
      example: '"2026-11-22T10:00:00Z"',
      defaultText: '`1970-01-01T00:00:00Z`',
    }),
    topic: optional<string>(text(), {
      description: 'The topic, one of the pipeline’s.',
      defaultText: 'the pipeline’s first',
    }),
    partition: optional<number>(integer({ min: 0, max: PARTITION_MAX }), {
      description: 'The partition of the topic.',
      defaultText: '`0`',
    }),
    offset: optional<bigint>(recordOffset(), {
      description: 'The offset in the partition.',
      defaultText: 'one more than that of the record before, from `0`',
    }),
  },
  [
    { keys: ['payload', 'payload_text', 'payload_base64'], required: false },
    { keys: ['key', 'key_base64'], required: false },
  ],
)

/** What is expected of one record that does not fit. */
export const testBadSection = section(
  'tests.bad',
  'A record that does not fit. What is left out may be anything: `bad: {}` takes every one.',
  {
    code: optional<(typeof BAD_RECORD_CODES)[number]>(enumeration(BAD_RECORD_CODES), {
      description: 'The error code.',
      example: 'RECORD_INVALID',
    }),
    column: optional<string>(text(), { description: 'The column at fault.', example: 'amount' }),
    message: optional<string>(text(), {
      description: 'A part of what the error says.',
      example: 'expected int64',
    }),
  },
)

/** A record as it is declared: what the pipeline decides is not put in yet. */
export interface DeclaredRecord {
  readonly value: Uint8Array | null
  readonly key: Uint8Array | null
  readonly headers: readonly Header[]
  readonly timestampMs: number | null
  readonly topic: string | null
  readonly topicSpan: Span
  readonly partition: number
  readonly offset: bigint | null
}

/** A test as it is declared. */
export interface DeclaredTest {
  readonly name: string
  readonly nameSpan: Span
  readonly pipeline: string | null
  readonly pipelineSpan: Span
  readonly span: Span
  readonly records: readonly DeclaredRecord[]
  readonly expected: Expectation
}

/** One map, or a list of maps. */
function maps<T>(
  spec: { readonly name: string },
  words: { readonly label: string; readonly expected: string; readonly countMin: number },
  readOne: (node: ConfigNode & { kind: 'map' }, reader: ConfigReader, keySpan: Span) => T | undefined,
): FieldType<WrittenWith<readonly T[]>> {
  const item = { $section: spec.name }
  const items = { type: 'array', items: item, minItems: words.countMin, maxItems: TEST_RECORDS_MAX }
  return {
    label: words.label,
    expected: words.expected,
    jsonSchema: { anyOf: [item, items] },
    read(node, reader, keySpan = node.span) {
      const nodes = node.kind === 'list' ? node.items : [node]
      if (!isCountIn(nodes.length, words.countMin, TEST_RECORDS_MAX, node, reader, words.expected))
        return undefined
      const values = nodes.map(each => {
        if (each.kind === 'map') return readOne(each, reader, each.entries[0]?.keySpan ?? each.span)
        reader.mismatch(each, words.expected)
        return undefined
      })
      const complete = values.filter(value => value !== undefined)
      return complete.length < values.length ? undefined : { value: complete, keySpan, span: node.span }
    },
  }
}

function isCountIn(
  count: number,
  min: number,
  max: number,
  node: ConfigNode,
  reader: ConfigReader,
  expected: string,
): boolean {
  if (count >= min && count <= max) return true
  const bound = count < min ? `at least ${min}` : `at most ${max}`
  reader.sink.error('CONFIG_INVALID_VALUE', node.span, `expected ${expected}, ${bound}; found ${count}`)
  return false
}

const inputType = maps(
  testRecordSection,
  { label: 'record \\| list of records', expected: 'a record or a list of records', countMin: 1 },
  readRecord,
)

const badType = maps(
  testBadSection,
  { label: 'map \\| list of maps', expected: '`{ code: …, column: …, message: … }`', countMin: 0 },
  readBad,
)

function rowsType(): FieldType<WrittenWith<readonly WrittenMap[]>> {
  const expected = 'a list of rows, each a map of columns'
  return {
    label: 'list of rows',
    expected,
    jsonSchema: { type: 'array', items: { type: 'object' }, maxItems: TEST_RECORDS_MAX },
    read(node, reader, keySpan = node.span) {
      if (node.kind !== 'list') {
        reader.mismatch(node, expected, 'write `- ` before each row')
        return undefined
      }
      if (!isCountIn(node.items.length, 0, TEST_RECORDS_MAX, node, reader, expected)) return undefined
      const rows = node.items.map(item => {
        if (item.kind === 'map') return readWritten(item, reader, true) as WrittenMap | undefined
        reader.mismatch(item, 'a row, a map of columns')
        return undefined
      })
      const complete = rows.filter(row => row !== undefined)
      return complete.length < rows.length ? undefined : { value: complete, keySpan, span: node.span }
    },
  }
}

function skippedType(): FieldType<WrittenWith<number>> {
  const expected = '`true`, or how many'
  const count = integer({ min: 0, max: TEST_RECORDS_MAX })
  return {
    label: 'boolean \\| integer',
    expected,
    jsonSchema: { type: ['boolean', 'integer'] },
    read(node, reader, keySpan = node.span) {
      const scalar = scalarOf(node, reader, expected)
      if (scalar === undefined) return undefined
      const isWord = scalar.text === 'true' || scalar.text === 'false'
      const value = isWord ? Number(scalar.text === 'true') : count.read(node, reader)
      return value === undefined ? undefined : { value, keySpan, span: node.span }
    },
  }
}

/** One entry of `tests:`. */
export const testSection = section(
  'tests.*',
  'One test: records, and what becomes of them. What is not named of `rows`, `bad` and `skipped` must not happen.',
  {
    name: required<string>(text({ lengthMax: TEST_NAME_LENGTH_MAX }), {
      description: 'What is tested, in words.',
      example: 'an order becomes one row',
    }),
    pipeline: optional<string>(text(), {
      description: 'Of several pipelines: the one that takes the records.',
      defaultText: 'the only one',
    }),
    input: required<WrittenWith<readonly DeclaredRecord[]>>(inputType, {
      description: `The record, or at most ${TEST_RECORDS_MAX} of them.`,
      example: '{ payload: { user_id: 7 } }',
    }),
    rows: optional<WrittenWith<readonly WrittenMap[]>>(rowsType(), {
      description:
        'The rows, in the order of the records. Columns and fields of structs that are not named may hold anything; `null` is compared.',
      example: '[{ user_id: 7, amount: 12.50 }]',
    }),
    bad: optional<WrittenWith<readonly ExpectedBad[]>>(badType, {
      description: 'What is wrong with the record that does not fit; a list for several.',
      example: '{ column: amount }',
    }),
    skipped: optional<WrittenWith<number>>(skippedType(), {
      description: 'A tombstone is left out (`processing.on_null_value: skip`); a number for several.',
      example: 'true',
    }),
  },
)

/** Sections of `tests:`, in the order of the reference. */
export const TEST_SECTIONS = [testSection, testRecordSection, testBadSection] as const

/** The whole of `tests:`. */
export function testsType(): FieldType<readonly DeclaredTest[]> {
  const expected = 'a list of tests'
  return {
    label: expected.slice(2),
    expected,
    jsonSchema: { type: 'array', items: { $section: testSection.name }, maxItems: TESTS_MAX },
    read(node, reader) {
      if (node.kind !== 'list') {
        reader.mismatch(node, expected, 'each is `- name: …` with `input` and `rows`, `bad` or `skipped`')
        return undefined
      }
      if (!isCountIn(node.items.length, 0, TESTS_MAX, node, reader, expected)) return undefined
      const tests = node.items.map(item => readTest(item, reader))
      return tests.includes(undefined) ? undefined : (tests as DeclaredTest[])
    },
  }
}

function readTest(node: ConfigNode, reader: ConfigReader): DeclaredTest | undefined {
  if (node.kind !== 'map') {
    reader.mismatch(node, 'a test', 'write `- name: …` with `input` and `rows`, `bad` or `skipped`')
    return undefined
  }
  const errorsBefore = reader.sink.errorCount
  const reading = readMap(testSection, node, 'a test', node.entries[0]?.keySpan ?? node.span, reader)
  const { name, pipeline = null, input, rows = null, bad = null, skipped = null } = reading.values
  const isExpecting = (['rows', 'bad', 'skipped'] as const).some(
    key => reading.has(key) && !reading.isUnset(key),
  )
  if (!isExpecting) {
    const place = reading.has('name') ? reading.spanOf('name') : node.span
    reader.sink.error('CONFIG_MISSING_KEY', place, 'the test expects nothing', {
      help: 'add `rows:`, `bad:` or `skipped: true`',
    })
  }
  if (reader.sink.errorCount > errorsBefore || name === undefined || input === undefined) return undefined
  return {
    name,
    nameSpan: reading.spanOf('name'),
    pipeline,
    pipelineSpan: reading.spanOf('pipeline'),
    span: node.span,
    records: input.value,
    expected: { rows, bad, skipped },
  }
}

function readMap<F extends Readonly<Record<string, unknown>>>(
  spec: SectionSpec<F>,
  node: ConfigNode & { kind: 'map' },
  owner: string,
  span: Span,
  reader: ConfigReader,
): SectionReading<F> {
  const entries = node.entries.map(entry => ({ ...entry, owner }))
  return readSection(spec, entries, { path: owner, span }, reader)
}

function readRecord(
  node: ConfigNode & { kind: 'map' },
  reader: ConfigReader,
  span: Span,
): DeclaredRecord | undefined {
  const errorsBefore = reader.sink.errorCount
  const reading = readMap(testRecordSection, node, 'a record of a test', span, reader)
  const given = (['payload', 'payload_text', 'payload_base64'] as const).filter(key => reading.has(key))
  if (given.length === 0) {
    reader.sink.error('CONFIG_MISSING_KEY', span, 'missing key `payload` in a record of a test', {
      help: 'add `payload:`, `payload_text:` or `payload_base64:`; `payload: null` is a tombstone',
    })
  }
  const [first, second] = given
  if (
    second !== undefined &&
    given.some(key => reading.isUnset(key)) &&
    reader.sink.errorCount === errorsBefore
  ) {
    const [tombstone, value] = reading.isUnset(first!) ? [first, second] : [second, first]
    const message = `\`${tombstone}\` is a tombstone, and \`${value}\` a value`
    reader.sink.error('CONFIG_CONFLICT', reading.spanOf(second), message, { help: 'keep one of them' })
  }
  if (reader.sink.errorCount > errorsBefore) return undefined
  const { payload, payload_text, payload_base64, key, key_base64, timestamp = 0, ...others } = reading.values
  const text = payload === undefined ? payload_text : jsonOf(payload)
  return {
    value: payload_base64 ?? (text === undefined ? null : Buffer.from(text)),
    key: key_base64 ?? (key === undefined ? null : Buffer.from(key)),
    headers: others.headers ?? [],
    timestampMs: timestamp === 'none' ? null : timestamp,
    topic: others.topic ?? null,
    topicSpan: reading.spanOf('topic'),
    partition: others.partition ?? 0,
    offset: others.offset ?? null,
  }
}

function readBad(
  node: ConfigNode & { kind: 'map' },
  reader: ConfigReader,
  span: Span,
): ExpectedBad | undefined {
  const errorsBefore = reader.sink.errorCount
  const reading = readMap(testBadSection, node, '`bad` of a test', span, reader)
  if (reader.sink.errorCount > errorsBefore) return undefined
  const spans = {
    code: reading.spanOf('code'),
    column: reading.spanOf('column'),
    message: reading.spanOf('message'),
  }
  return { ...reading.values, spans, span: node.span }
}
