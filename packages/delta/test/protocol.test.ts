import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Protocol } from '../src/action.ts'
import { assertReadable, assertWritable, canonicalProtocol, writerFeaturesOf } from '../src/protocol.ts'
import { array, field, primitive, type StructType, struct } from '../src/schema.ts'
import { metadataOf, PROTOCOL, SCHEMA } from './table-log.ts'

const features = (readerFeatures: string[], writerFeatures: string[]): Protocol => ({
  minReaderVersion: 3,
  minWriterVersion: 7,
  readerFeatures,
  writerFeatures,
})
const schemaWith = (metadata: Record<string, unknown>): StructType =>
  struct([field('s', struct([field('x', primitive('long'), true, metadata)]))])

test('a table that lists features without using them is written', () => {
  const protocol = features(
    ['deletionVectors', 'columnMapping', 'v2Checkpoint', 'vacuumProtocolCheck', 'timestampNtz'],
    [
      'appendOnly',
      'invariants',
      'checkConstraints',
      'changeDataFeed',
      'generatedColumns',
      'identityColumns',
      'columnMapping',
      'deletionVectors',
      'domainMetadata',
      'rowTracking',
      'inCommitTimestamp',
      'v2Checkpoint',
      'vacuumProtocolCheck',
      'timestampNtz',
      'timestampWithoutTimezone',
      'allowColumnDefaults',
    ],
  )
  assertWritable(protocol, metadataOf({ 'delta.columnMapping.mode': 'none' }), SCHEMA)
  for (let version = 1; version <= 6; version++) {
    assertWritable(
      { minReaderVersion: version >= 5 ? 2 : 1, minWriterVersion: version },
      metadataOf(),
      SCHEMA,
    )
  }
})

test('features that are not known are refused, all by name', () => {
  const protocol = features(['catalogManaged'], ['catalogManaged', 'collations', 'appendOnly', 'fooBar'])
  assert.throws(() => assertReadable(protocol), {
    code: 'DELTA_PROTOCOL_UNSUPPORTED',
    message: 'the table needs the reader feature `catalogManaged`, which cannot be read here',
  })
  assert.throws(
    () => assertWritable(features([], ['collations', 'appendOnly', 'fooBar']), metadataOf(), SCHEMA),
    {
      code: 'DELTA_PROTOCOL_UNSUPPORTED',
      message: 'the table needs the writer features `collations`, `fooBar`, which cannot be written here',
    },
  )
})

test('a writer feature that is not known does not stop a reader', () => {
  assertReadable(features([], ['fooBar']))
})

test('what a table uses and this writer cannot do is refused with its place', () => {
  const used: [Record<string, string>, StructType, RegExp][] = [
    [
      { 'delta.constraints.positive': 'x > 0' },
      SCHEMA,
      /`checkConstraints` \(the property `delta\.constraints\.positive`\)/,
    ],
    [
      { 'delta.enableIcebergCompatV2': 'true' },
      SCHEMA,
      /`icebergCompatV2` \(the property `delta\.enableIcebergCompatV2`\)/,
    ],
    [{}, struct([field('v', array(primitive('variant')))]), /`variantType` \(the column `v`\)/],
    [
      {},
      schemaWith({ 'delta.invariants': '{}' }),
      /`invariants` \(`delta\.invariants` of the column `s\.x`\)/,
    ],
    [{}, schemaWith({ 'delta.generationExpression': 'y + 1' }), /`generatedColumns`/],
    [{}, schemaWith({ 'delta.identity.start': 1 }), /`identityColumns`/],
    [{}, schemaWith({ CURRENT_DEFAULT: '5' }), /`allowColumnDefaults`/],
  ]
  for (const [configuration, schema, message] of used) {
    assert.throws(() => assertWritable(PROTOCOL, metadataOf(configuration), schema), {
      code: 'DELTA_PROTOCOL_UNSUPPORTED',
      message,
    })
  }
})

test('versions that are not known, or lack their lists, are refused', () => {
  const broken: Protocol[] = [
    { minReaderVersion: 4, minWriterVersion: 7 },
    { minReaderVersion: 0, minWriterVersion: 2 },
    { minReaderVersion: 3, minWriterVersion: 7 },
    { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: [] },
    { minReaderVersion: 3, minWriterVersion: 6, readerFeatures: [], writerFeatures: [] },
  ]
  for (const protocol of broken)
    assert.throws(() => assertReadable(protocol), { code: 'DELTA_PROTOCOL_UNSUPPORTED' })
  for (const protocol of [
    { minReaderVersion: 1, minWriterVersion: 8 },
    { minReaderVersion: 1, minWriterVersion: 7 },
  ]) {
    assertReadable(protocol)
    assert.throws(() => assertWritable(protocol, metadataOf(), SCHEMA), {
      code: 'DELTA_PROTOCOL_UNSUPPORTED',
    })
  }
})

test('legacy versions imply their features', () => {
  assert.deepEqual(
    [...writerFeaturesOf({ minReaderVersion: 1, minWriterVersion: 4 })],
    ['appendOnly', 'invariants', 'checkConstraints', 'changeDataFeed', 'generatedColumns'],
  )
})

test('a protocol is rewritten with each feature once, and no lists on old versions', () => {
  assert.deepEqual(canonicalProtocol({ ...PROTOCOL, readerFeatures: [], writerFeatures: [] }), PROTOCOL)
  assert.deepEqual(canonicalProtocol(features(['a', 'a'], ['b', 'a', 'b'])), features(['a'], ['b', 'a']))
})
