import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Action, Add } from '../src/action.ts'
import { formatAction, formatCommit, parseAction, parseCommit, validateCommit } from '../src/action-codec.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const place = { file: '_delta_log/0.json', line: 7 }
const add: Add = { path: 'a.parquet', partitionValues: {}, size: 10, modificationTime: 5, dataChange: true }

const stringMap = fc.dictionary(fc.string(), fc.string())
const safe = fc.maxSafeNat()
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const deletionVector = fc.record(
  {
    storageType: fc.constantFrom('u', 'i', 'p'),
    pathOrInlineDv: fc.string(),
    offset: safe,
    sizeInBytes: safe,
    cardinality: safe,
  },
  { requiredKeys: ['storageType', 'pathOrInlineDv', 'sizeInBytes', 'cardinality'] },
)
const arbitraryAction = fc.oneof(
  fc.record({
    add: fc.record(
      {
        path: fc.string(),
        partitionValues: fc.dictionary(fc.string(), fc.option(fc.string())),
        size: safe,
        modificationTime: safe,
        dataChange: fc.boolean(),
        stats: fc.string(),
        tags: fc.dictionary(fc.string(), fc.option(fc.string())),
        deletionVector,
        baseRowId: long,
        defaultRowCommitVersion: safe,
        clusteringProvider: fc.string(),
      },
      { requiredKeys: ['path', 'partitionValues', 'size', 'modificationTime', 'dataChange'] },
    ),
  }),
  fc.record({
    remove: fc.record(
      {
        path: fc.string(),
        deletionTimestamp: safe,
        dataChange: fc.boolean(),
        extendedFileMetadata: fc.boolean(),
        size: safe,
        deletionVector,
      },
      { requiredKeys: ['path', 'dataChange'] },
    ),
  }),
  fc.record({
    txn: fc.record(
      { appId: fc.string(), version: long, lastUpdated: safe },
      { requiredKeys: ['appId', 'version'] },
    ),
  }),
  fc.record({
    domainMetadata: fc.record({ domain: fc.string(), configuration: fc.string(), removed: fc.boolean() }),
  }),
  fc.record({
    metaData: fc.record({
      id: fc.string(),
      format: fc.record({ provider: fc.string(), options: stringMap }),
      schemaString: fc.string(),
      partitionColumns: fc.array(fc.string()),
      configuration: stringMap,
    }),
  }),
) as fc.Arbitrary<Action>

test('any action survives formatting and parsing', () => {
  fc.assert(
    fc.property(arbitraryAction, action => {
      assert.equal(formatAction(parseAction(formatAction(action), place)!), formatAction(action))
    }),
  )
})

test('fields stand in the order of the protocol', () => {
  const { dataChange, ...rest } = add
  assert.equal(
    formatAction({ add: { dataChange, stats: '{}', ...rest } }),
    '{"add":{"path":"a.parquet","partitionValues":{},"size":10,"modificationTime":5,"dataChange":true,"stats":"{}"}}',
  )
})

test('a commitInfo keeps what it does not know behind what it knows', () => {
  const line = '{"commitInfo":{"foo":{"bar":1},"timestamp":5,"operation":"WRITE","userId":null,"txnId":"x"}}'
  assert.equal(
    formatAction(parseAction(line, place)!),
    '{"commitInfo":{"timestamp":5,"operation":"WRITE","txnId":"x","foo":{"bar":1}}}',
  )
})

test('actions and fields that are not known, nulls and blank lines are passed over', () => {
  const text =
    '{"txn":{"appId":"a","version":1,"lastUpdated":null,"shoe":1},"add":null}\n\n  \r\n{"future":{"x":1}}\n'
  assert.deepEqual(parseCommit(bytes(text), 'f'), [{ txn: { appId: 'a', version: 1n } }])
})

test('a field of another type is refused with file, line and field', () => {
  const refused: [string, string][] = [
    ['{"txn":{"appId":"a","version":"1"}}', 'has `txn.version` that is not a 64-bit integer'],
    ['{"txn":{"version":1}}', 'has no `txn.appId`'],
    [
      '{"add":{"path":"a","partitionValues":{"p":1},"size":1,"modificationTime":1,"dataChange":true}}',
      'has `add.partitionValues` that is not an object of strings or nulls',
    ],
    [
      '{"add":{"path":"a","partitionValues":{},"size":1.5,"modificationTime":1,"dataChange":true}}',
      'has `add.size` that is not an integer within ±(2^53 − 1)',
    ],
    ['{"add":5}', 'has `add` that is not an object'],
    ['{"add":{},"remove":{}}', 'holds two actions, `add` and `remove`'],
    ['[]', 'is not a JSON object'],
    ['{"add":', 'is not JSON'],
  ]
  for (const [line, message] of refused) {
    assert.throws(() => parseAction(line, place), {
      code: 'DELTA_LOG_CORRUPT',
      message: `line 7 of the log file \`_delta_log/0.json\` ${message}`,
    })
  }
})

test('an empty, a cut and a binary commit are damage, never an empty commit', () => {
  for (const content of [
    new Uint8Array(0),
    bytes('\n \n'),
    bytes('{"txn":{"appId":"a","ver'),
    new Uint8Array([0xff, 0xfe]),
  ]) {
    assert.throws(() => parseCommit(content, '_delta_log/0.json'), {
      code: 'DELTA_LOG_CORRUPT',
      message: /_delta_log\/0\.json/,
    })
  }
})

test('a commit is written line by line and read back', () => {
  const actions: Action[] = [
    { commitInfo: { timestamp: 1, operation: 'WRITE' } },
    { txn: { appId: 'a', version: 2n ** 62n, lastUpdated: 3 } },
    { add },
  ]
  const written = formatCommit(actions)
  assert.equal(new TextDecoder().decode(written).split('\n').length, 4)
  assert.deepEqual(parseCommit(written, 'f'), actions)
})

test('what no commit may hold is a bug', () => {
  const dv = { storageType: 'u', pathOrInlineDv: 'x', sizeInBytes: 1, cardinality: 1 } as const
  const broken: Action[][] = [
    [],
    [{ add }, { commitInfo: {} }],
    [{ add }, { add: { ...add, deletionVector: dv } }],
    [{ add }, { remove: { path: add.path, dataChange: true } }],
    [{ add }, { remove: { path: 'b', dataChange: false } }],
    [{ add: { ...add, size: 0 } }],
    [{ txn: { appId: 'a', version: 1n } }, { txn: { appId: 'a', version: 2n } }],
    [
      { domainMetadata: { domain: 'd', configuration: '', removed: false } },
      { domainMetadata: { domain: 'd', configuration: '', removed: true } },
    ],
    [{ protocol: { minReaderVersion: 1, minWriterVersion: 2, readerFeatures: [] } }],
    [{ protocol: { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: ['x'], writerFeatures: [] } }],
    [{ sidecar: { path: 'x', sizeInBytes: 1, modificationTime: 1 } }],
  ]
  for (const actions of broken)
    assert.throws(() => validateCommit(actions), assert.AssertionError, JSON.stringify(Object.keys(actions)))
  validateCommit([{ remove: { path: add.path, dataChange: true } }, { add: { ...add, deletionVector: dv } }])
})
