/**
 * May this code read, or write, a table? The gate over protocol versions and table features.
 *
 * PROTOCOL.md › Table Features. A listed feature is only *supported*; the legacy ones need code only where the table
 * uses them, which is why tables that were upgraded, and list everything, are still written here.
 *
 * @module
 */
import type { Metadata, Protocol } from './action.ts'
import { columnDefault } from './column-default.ts'
import { DeltaLakeError } from './error.ts'
import type { StructType } from './schema.ts'
import { schemaFields, someType } from './schema-codec.ts'

const READER_VERSION_FEATURES = 3
const WRITER_VERSION_FEATURES = 7

/**
 * Reader features that replaying the log needs no more for than is here. Those that change only how data files are
 * read are in: a snapshot lists the files, the reader of rows has its own gate.
 */
export const SNAPSHOT_READER_FEATURES: ReadonlySet<string> = new Set([
  'columnMapping',
  'deletionVectors',
  'timestampNtz',
  // An alias that is seen in the wild.
  'timestampWithoutTimezone',
  'typeWidening',
  'typeWidening-preview',
  'v2Checkpoint',
  'vacuumProtocolCheck',
  'variantType',
  'variantType-preview',
  'variantShredding',
  'variantShredding-preview',
])

/** Writer features of each legacy version. */
const LEGACY_WRITER_FEATURES: readonly (readonly [version: number, features: readonly string[]])[] = [
  [2, ['appendOnly', 'invariants']],
  [3, ['checkConstraints']],
  [4, ['changeDataFeed', 'generatedColumns']],
  [5, ['columnMapping']],
  [6, ['identityColumns']],
]

/** Nothing, or no more than the transaction does anyway, is asked of an appender. */
const WRITABLE_FEATURES: ReadonlySet<string> = new Set([
  'appendOnly',
  'changeDataFeed',
  // Concerns the cleanup of the log alone.
  'checkpointProtection',
  'clustering',
  'columnMapping',
  'deletionVectors',
  'domainMetadata',
  'inCommitTimestamp',
  'materializePartitionColumns',
  'rowTracking',
  'timestampNtz',
  'timestampWithoutTimezone',
  // Files are written with the types that the columns have now.
  'typeWidening',
  'typeWidening-preview',
  'v2Checkpoint',
  'vacuumProtocolCheck',
])

/** Writable as long as the table does not use them: how to tell that it does, in words for the message. */
const UNUSED_FEATURES: ReadonlyMap<string, (metadata: Metadata, schema: StructType) => string | null> =
  new Map([
    ['invariants', (_metadata, schema) => usedByColumn(schema, key => key === 'delta.invariants')],
    [
      'generatedColumns',
      (_metadata, schema) => usedByColumn(schema, key => key === 'delta.generationExpression'),
    ],
    [
      'identityColumns',
      (_metadata, schema) => usedByColumn(schema, key => key.startsWith('delta.identity.')),
    ],
    ['allowColumnDefaults', (_metadata, schema) => unknownDefault(schema)],
    [
      'checkConstraints',
      ({ configuration }) => {
        const name = Object.keys(configuration).find(key => key.startsWith('delta.constraints.'))
        return name === undefined ? null : `the property \`${name}\``
      },
    ],
    ['icebergCompatV1', ({ configuration }) => enabledBy(configuration, 'delta.enableIcebergCompatV1')],
    ['icebergCompatV2', ({ configuration }) => enabledBy(configuration, 'delta.enableIcebergCompatV2')],
    ['icebergCompatV3', ({ configuration }) => enabledBy(configuration, 'delta.enableIcebergCompatV3')],
    ...['variantType', 'variantType-preview'].map(
      name => [name, (_metadata: Metadata, schema: StructType) => variantColumn(schema)] as const,
    ),
    ['variantShredding', () => null],
    ['variantShredding-preview', () => null],
  ])

function enabledBy(configuration: Metadata['configuration'], property: string): string | null {
  return configuration[property]?.toLowerCase() === 'true' ? `the property \`${property}\`` : null
}

function variantColumn(schema: StructType): string | null {
  for (const { path, field } of schemaFields(schema)) {
    if (someType(field.type, type => type.kind === 'primitive' && type.name === 'variant')) {
      return `the column \`${path}\``
    }
  }
  return null
}

/** The writer features of a protocol, those that a legacy version implies included. */
export function writerFeaturesOf(protocol: Protocol): ReadonlySet<string> {
  if (protocol.minWriterVersion >= WRITER_VERSION_FEATURES) return new Set(protocol.writerFeatures ?? [])
  const features = new Set<string>()
  for (const [version, names] of LEGACY_WRITER_FEATURES) {
    if (protocol.minWriterVersion >= version) for (const name of names) features.add(name)
  }
  return features
}

/** The reader features of a protocol, column mapping of reader version 2 included. */
export function readerFeaturesOf(protocol: Protocol): ReadonlySet<string> {
  if (protocol.minReaderVersion >= READER_VERSION_FEATURES) return new Set(protocol.readerFeatures ?? [])
  return new Set(protocol.minReaderVersion === 2 ? ['columnMapping'] : [])
}

/**
 * A protocol as it must be written: feature lists without doubles, and only where the versions have them (other
 * engines refuse an empty list on an old version).
 */
export function canonicalProtocol(protocol: Protocol): Protocol {
  const { minReaderVersion, minWriterVersion, readerFeatures, writerFeatures } = protocol
  return {
    minReaderVersion,
    minWriterVersion,
    ...(minReaderVersion === READER_VERSION_FEATURES && readerFeatures !== undefined
      ? { readerFeatures: [...new Set(readerFeatures)] }
      : {}),
    ...(minWriterVersion === WRITER_VERSION_FEATURES && writerFeatures !== undefined
      ? { writerFeatures: [...new Set(writerFeatures)] }
      : {}),
  }
}

/**
 * Refuses a table whose protocol asks more of a reader than is known.
 *
 * @param supported reader features that the caller implements
 * @throws DeltaLakeError `DELTA_PROTOCOL_UNSUPPORTED` naming the versions or the features
 */
export function assertReadable(
  protocol: Protocol,
  supported: ReadonlySet<string> = SNAPSHOT_READER_FEATURES,
): void {
  const { minReaderVersion, minWriterVersion, readerFeatures, writerFeatures } = protocol
  if (minReaderVersion < 1 || minReaderVersion > READER_VERSION_FEATURES) {
    throw unsupported(`the table needs reader version ${minReaderVersion}; versions 1 to 3 are known`)
  }
  if (minReaderVersion === READER_VERSION_FEATURES) {
    if (readerFeatures === undefined) {
      throw unsupported('the table has reader version 3 but its protocol lists no `readerFeatures`')
    }
    if (minWriterVersion !== WRITER_VERSION_FEATURES || writerFeatures === undefined) {
      throw unsupported('the table has reader version 3 but its protocol lists no `writerFeatures`')
    }
  }
  const missing = [...readerFeaturesOf(protocol)].filter(feature => !supported.has(feature))
  if (missing.length > 0) {
    throw unsupported(
      `the table needs the reader ${featureList(missing)}, which cannot be read here`,
      missing,
    )
  }
}

/**
 * Refuses a table that this writer must not append to. Call it again whenever `protocol` or `metaData` change.
 *
 * @throws DeltaLakeError `DELTA_PROTOCOL_UNSUPPORTED` naming what is missing
 */
export function assertWritable(protocol: Protocol, metadata: Metadata, schema: StructType): void {
  assertReadable(protocol)
  assertKnownWriterVersion(protocol)
  const missing = [...writerFeaturesOf(protocol)].filter(
    feature => !WRITABLE_FEATURES.has(feature) && !UNUSED_FEATURES.has(feature),
  )
  if (missing.length > 0) {
    throw unsupported(
      `the table needs the writer ${featureList(missing)}, which cannot be written here`,
      missing,
    )
  }
  // Also where the protocol does not list them: a table that uses them would be damaged all the same.
  for (const [feature, usedBy] of UNUSED_FEATURES) {
    const place = usedBy(metadata, schema)
    if (place !== null) {
      throw unsupported(
        `the table uses the feature \`${feature}\` (${place}), which cannot be written here`,
        [feature],
      )
    }
  }
}

/**
 * Refuses a table whose log this code must not condense: checkpoints and log cleanup. It needs to know every feature, as
 * one that it does not know may keep actions in the log that it would lose; whether the table uses them is no matter.
 *
 * @throws DeltaLakeError `DELTA_PROTOCOL_UNSUPPORTED` naming what is missing
 */
export function assertMaintainable(protocol: Protocol): void {
  assertReadable(protocol)
  assertKnownWriterVersion(protocol)
  const missing = [...writerFeaturesOf(protocol)].filter(
    feature => !WRITABLE_FEATURES.has(feature) && !UNUSED_FEATURES.has(feature),
  )
  if (missing.length > 0) {
    throw unsupported(
      `the table needs the writer ${featureList(missing)}, whose log cannot be condensed here`,
      missing,
    )
  }
}

function assertKnownWriterVersion({ minWriterVersion, writerFeatures }: Protocol): void {
  if (minWriterVersion < 1 || minWriterVersion > WRITER_VERSION_FEATURES) {
    throw unsupported(`the table needs writer version ${minWriterVersion}; versions 1 to 7 are known`)
  }
  if (minWriterVersion === WRITER_VERSION_FEATURES && writerFeatures === undefined) {
    throw unsupported('the table has writer version 7 but its protocol lists no `writerFeatures`')
  }
}

/** Literals of whole columns are written; what else there is, is not. */
function unknownDefault(schema: StructType): string | null {
  const columns = new Set(schema.fields)
  for (const { path, field } of schemaFields(schema)) {
    const found = columnDefault(field)
    if (found.kind === 'none' || (found.kind === 'literal' && columns.has(field))) continue
    return `the default of the column \`${path}\`, \`${String(field.metadata.CURRENT_DEFAULT)}\``
  }
  return null
}

function usedByColumn(schema: StructType, uses: (key: string) => boolean): string | null {
  for (const { path, field } of schemaFields(schema)) {
    const key = Object.keys(field.metadata).find(uses)
    if (key !== undefined) return `\`${key}\` of the column \`${path}\``
  }
  return null
}

function featureList(features: readonly string[]): string {
  const names = features.map(f => `\`${f}\``).join(', ')
  return features.length === 1 ? `feature ${names}` : `features ${names}`
}

function unsupported(message: string, features: readonly string[] = []): DeltaLakeError {
  return new DeltaLakeError('DELTA_PROTOCOL_UNSUPPORTED', message, {
    ...(features.length === 0 ? {} : { context: { features: features.join(', ') } }),
  })
}
