/**
 * The fields of every action: wire name, type, required or not, in the order of the protocol's tables.
 *
 * PROTOCOL.md › Actions. One table serves parsing, formatting and checkpoints.
 *
 * @module
 */
import { isJsonObject } from './json.ts'

export interface ActionField {
  readonly name: string
  readonly required: boolean
  /** In words, for messages: `a long`. */
  readonly expected: string
  /** Stands in for a missing optional field that the types here require. */
  readonly fallback?: unknown
  /** The value as the types in `action.ts` have it; undefined where it is of another type. */
  read(value: unknown): unknown
}

type Kind = Pick<ActionField, 'expected' | 'read'>

const string: Kind = { expected: 'a string', read: v => (typeof v === 'string' ? v : undefined) }
const boolean: Kind = { expected: 'a boolean', read: v => (typeof v === 'boolean' ? v : undefined) }

/** A count, size, version or time: its whole use is within 2^53, so anything beyond is damage. */
const long: Kind = {
  expected: 'an integer within ±(2^53 − 1)',
  read: v => {
    const number = typeof v === 'bigint' ? Number(v) : v
    return Number.isSafeInteger(number) ? number : undefined
  },
}

const LONG_MIN = -(2n ** 63n)
const LONG_MAX = 2n ** 63n - 1n

/** A long whose whole range is used. */
const exactLong: Kind = {
  expected: 'a 64-bit integer',
  read: v => {
    if (typeof v === 'number') return Number.isSafeInteger(v) ? BigInt(v) : undefined
    return typeof v === 'bigint' && v >= LONG_MIN && v <= LONG_MAX ? v : undefined
  },
}

const strings: Kind = {
  expected: 'a list of strings',
  read: v => (Array.isArray(v) && v.every(item => typeof item === 'string') ? v : undefined),
}

/** Checked in place and kept as it is: a key such as `__proto__` would not survive a copy by assignment. */
const stringMap: Kind = {
  expected: 'an object of strings',
  read: v => (isJsonObject(v) && Object.values(v).every(item => typeof item === 'string') ? v : undefined),
}

/** Null values are seen in the wild (partition values and tags). */
const nullableStringMap: Kind = {
  expected: 'an object of strings or nulls',
  read: v =>
    isJsonObject(v) && Object.values(v).every(item => item === null || typeof item === 'string')
      ? v
      : undefined,
}

/** A null value is an absent property. */
const configuration: Kind = {
  expected: 'an object of strings',
  read: v => {
    if (!isJsonObject(v)) return undefined
    const entries = Object.entries(v).filter(([, item]) => item !== null)
    return entries.every(([, item]) => typeof item === 'string') ? Object.fromEntries(entries) : undefined
  },
}

const format: Kind = {
  expected: 'an object with a provider',
  read: v => {
    if (!isJsonObject(v) || typeof v.provider !== 'string') return undefined
    const options = v.options ?? {}
    return stringMap.read(options) === undefined ? undefined : { provider: v.provider, options }
  },
}

const deletionVector: Kind = {
  expected: 'a deletion vector descriptor',
  read: v => {
    if (!isJsonObject(v)) return undefined
    const { storageType, pathOrInlineDv } = v
    const offset = v.offset ?? null
    const sizeInBytes = long.read(v.sizeInBytes)
    const cardinality = long.read(v.cardinality)
    if (storageType !== 'u' && storageType !== 'i' && storageType !== 'p') return undefined
    if (typeof pathOrInlineDv !== 'string' || sizeInBytes === undefined || cardinality === undefined)
      return undefined
    if (offset === null) return { storageType, pathOrInlineDv, sizeInBytes, cardinality }
    if (long.read(offset) === undefined) return undefined
    return { storageType, pathOrInlineDv, offset: long.read(offset), sizeInBytes, cardinality }
  },
}

/** Free-form: kept as it came. */
const anything: Kind = { expected: 'any JSON', read: v => v }

function required(name: string, kind: Kind): ActionField {
  return { name, required: true, ...kind }
}

function optional(name: string, kind: Kind, fallback?: unknown): ActionField {
  return { name, required: false, ...kind, ...(fallback === undefined ? {} : { fallback }) }
}

const ACTION_FIELDS: ReadonlyMap<string, readonly ActionField[]> = new Map([
  [
    'commitInfo',
    [
      optional('inCommitTimestamp', long),
      optional('timestamp', anything),
      optional('userId', anything),
      optional('userName', anything),
      optional('operation', anything),
      optional('operationParameters', anything),
      optional('readVersion', anything),
      optional('isolationLevel', anything),
      optional('isBlindAppend', anything),
      optional('operationMetrics', anything),
      optional('userMetadata', anything),
      optional('tags', anything),
      optional('engineInfo', anything),
      optional('txnId', string),
    ],
  ],
  [
    'protocol',
    [
      required('minReaderVersion', long),
      required('minWriterVersion', long),
      optional('readerFeatures', strings),
      optional('writerFeatures', strings),
    ],
  ],
  [
    'metaData',
    [
      required('id', string),
      optional('name', string),
      optional('description', string),
      optional('format', format, { provider: 'parquet', options: {} }),
      required('schemaString', string),
      optional('partitionColumns', strings, []),
      optional('createdTime', long),
      optional('configuration', configuration, {}),
    ],
  ],
  ['txn', [required('appId', string), required('version', exactLong), optional('lastUpdated', long)]],
  [
    'domainMetadata',
    [required('domain', string), required('configuration', string), required('removed', boolean)],
  ],
  [
    'add',
    [
      required('path', string),
      required('partitionValues', nullableStringMap),
      required('size', long),
      required('modificationTime', long),
      required('dataChange', boolean),
      optional('stats', string),
      optional('tags', nullableStringMap),
      optional('deletionVector', deletionVector),
      optional('baseRowId', exactLong),
      optional('defaultRowCommitVersion', long),
      optional('clusteringProvider', string),
    ],
  ],
  [
    'remove',
    [
      required('path', string),
      optional('deletionTimestamp', long),
      required('dataChange', boolean),
      optional('extendedFileMetadata', boolean),
      optional('partitionValues', nullableStringMap),
      optional('size', long),
      optional('stats', string),
      optional('tags', nullableStringMap),
      optional('deletionVector', deletionVector),
      optional('baseRowId', exactLong),
      optional('defaultRowCommitVersion', long),
    ],
  ],
  [
    'cdc',
    [
      required('path', string),
      required('partitionValues', nullableStringMap),
      required('size', long),
      required('dataChange', boolean),
      optional('tags', nullableStringMap),
    ],
  ],
  ['checkpointMetadata', [required('version', long), optional('tags', nullableStringMap)]],
  [
    'sidecar',
    [
      required('path', string),
      required('sizeInBytes', long),
      required('modificationTime', long),
      optional('tags', nullableStringMap),
    ],
  ],
])

/** The fields of an action in wire order; null where no action has that name. */
export function actionFieldsOf(name: string): readonly ActionField[] | null {
  return ACTION_FIELDS.get(name) ?? null
}
