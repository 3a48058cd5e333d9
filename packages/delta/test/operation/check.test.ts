import assert from 'node:assert/strict'
import { describe, suite, test } from 'node:test'
import type { Action, Add, Protocol } from '../../src/action.ts'
import { formatAction } from '../../src/action-codec.ts'
import { writeCheckpoint } from '../../src/checkpoint.ts'
import { readCommit } from '../../src/commit-reader.ts'
import { DeltaLakeError } from '../../src/error.ts'
import { formatJson, parseJson } from '../../src/json.ts'
import { formatLastCheckpoint } from '../../src/last-checkpoint.ts'
import { formatCheckpointPath, formatChecksumPath, formatCommitPath } from '../../src/log-path.ts'
import {
  type CheckOptions,
  type CheckProgress,
  type CheckRule,
  checkTable,
} from '../../src/operation/check.ts'
import { decimal, field, primitive, struct } from '../../src/schema.ts'
import { formatSchemaString } from '../../src/schema-codec.ts'
import { MemoryObjectStore } from '../../src/store/memory.ts'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { appendEvents, createEvents, damageOnPurpose, encoder, testRuntime } from '../table-fixture.ts'
import { addOf, createTestLog, metadataOf, PROTOCOL } from '../table-log.ts'
import { createScanTable } from './scan-fixture.ts'

const POINTER = '_delta_log/_last_checkpoint'
const DELETED_FIRST_ROW = { storageType: 'i', pathOrInlineDv: 'x', sizeInBytes: 1, cardinality: 1 } as const

/** Versions 0 to 4 by the product's own writer, with checksums, a checkpoint at 3 and the pointer to it. */
async function soundTable(properties: Record<string, string> = {}): Promise<MemoryObjectStore> {
  const runtime = testRuntime()
  const store = new MemoryObjectStore({ now: runtime.now })
  const table = await createEvents(store, runtime, { 'delta.checkpointInterval': '3', ...properties })
  for (let i = 1; i <= 4; i++) {
    await appendEvents(table, [i, i + 10, i + 20], 'app', BigInt(i))
    await table.upkeep(encoder)
  }
  damageOnPurpose(store)
  return store
}

async function rulesOf(store: ObjectStore, options: CheckOptions = {}): Promise<CheckRule[]> {
  const { findings } = await checkTable(store, options)
  return [...new Set(findings.map(finding => finding.rule))].sort()
}

async function assertFinds(
  store: ObjectStore,
  rule: CheckRule,
  message: RegExp,
  options: CheckOptions = {},
): Promise<void> {
  const { findings } = await checkTable(store, options)
  const texts = findings.map(finding => `${finding.rule}: ${finding.message}`)
  assert(
    findings.some(finding => finding.rule === rule && message.test(finding.message)),
    `${rule} ${message} is not among ${texts.join('\n') || 'none'}`,
  )
}

async function putText(store: ObjectStore, key: string, text: string): Promise<void> {
  await store.put(key, new TextEncoder().encode(text))
}

/** Writes a commit whatever rules it breaks. */
async function putCommit(store: ObjectStore, version: number, actions: readonly Action[]): Promise<void> {
  await putText(store, formatCommitPath(version), `${actions.map(formatAction).join('\n')}\n`)
}

/** Rewrites the actions of one commit. */
async function editCommit(
  store: ObjectStore,
  version: number,
  edit: (action: Action) => Action | readonly Action[],
): Promise<void> {
  await putCommit(store, version, (await readCommit(store, version))!.flatMap(edit))
}

async function editAdd(store: ObjectStore, version: number, edit: (add: Add) => Add): Promise<void> {
  await editCommit(store, version, action => ('add' in action ? { add: edit(action.add) } : action))
}

async function editChecksum(
  store: ObjectStore,
  version: number,
  edit: (json: Record<string, unknown>) => Record<string, unknown>,
): Promise<void> {
  const key = formatChecksumPath(version)
  const json = parseJson(new TextDecoder().decode((await store.get(key))!)) as Record<string, unknown>
  await putText(store, key, formatJson(edit(json)))
}

/** A log of one commit: commitInfo, protocol, metaData, and what is given. */
async function logOf(
  actions: readonly Action[],
  options: { protocol?: Protocol; configuration?: Record<string, string>; commitInfo?: object } = {},
): Promise<MemoryObjectStore> {
  const { store } = createTestLog()
  await putCommit(store, 0, [
    { commitInfo: { ...options.commitInfo } },
    { protocol: options.protocol ?? PROTOCOL },
    { metaData: metadataOf(options.configuration) },
    ...actions,
  ])
  return store
}

function writerFeatures(...features: string[]): Protocol {
  return { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: features }
}

suite('a sound table', () => {
  test('has no findings, and what was looked at is counted', async () => {
    const store = await soundTable()
    assert.deepEqual(await checkTable(store, { deep: true }), {
      version: 4,
      isDeep: true,
      commitCount: 5,
      checkpointCount: 1,
      checksumCount: 5,
      fileCount: 4,
      findings: [],
      findingsLeftOut: 0,
    })
    assert.equal((await checkTable(store, { version: 2 })).fileCount, 2)
  })

  test('is checked commit by commit, then file by file, and tells how far it is', async () => {
    const done: CheckProgress[] = []
    await checkTable(await soundTable(), { progressed: d => done.push(d) })
    assert.deepEqual(
      done.map(({ commitsDone, filesDone }) => [commitsDone, filesDone]),
      [
        [1, 0],
        [2, 0],
        [3, 0],
        [4, 0],
        [5, 0],
        [5, 4],
      ],
    )
    const deepDone: number[] = []
    await checkTable(await soundTable(), { deep: true, progressed: d => deepDone.push(d.filesDone) })
    assert.deepEqual(deepDone.slice(-4), [1, 2, 3, 4])
    assert.deepEqual(done.at(-1), { commitsDone: 5, commitsTotal: 5, filesDone: 4, filesTotal: 4 })
  })

  test('has none with in-commit timestamps, without its first commits, and in parts of a few files', async () => {
    const store = await soundTable({ 'delta.enableInCommitTimestamps': 'true' })
    assert.deepEqual(await rulesOf(store, { deep: true }), [])
    assert.deepEqual(await rulesOf(store, { liveFilesMax: 1 }), [])
    await store.delete([0, 1, 2].map(formatCommitPath))
    assert.deepEqual(await rulesOf(store), [])
  })

  test('that is not there, or of an unknown kind, is no finding but an error', async () => {
    const code = (expected: string) => (error: unknown) =>
      error instanceof DeltaLakeError && error.code === expected
    await assert.rejects(checkTable(new MemoryObjectStore()), code('DELTA_TABLE_NOT_FOUND'))
    await assert.rejects(checkTable(await soundTable(), { version: 9 }), code('DELTA_VERSION_NOT_FOUND'))
    const protocol = {
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: ['new'],
      writerFeatures: ['new'],
    }
    await assert.rejects(checkTable(await logOf([], { protocol })), code('DELTA_PROTOCOL_UNSUPPORTED'))
  })
})

describe('a check finds in the log', () => {
  test('a missing commit', async () => {
    const store = await soundTable()
    await store.delete([formatCommitPath(2)])
    await assertFinds(store, 'log-gap', /version 2 is missing/)
  })

  test('a commit that cannot be read', async () => {
    const store = await soundTable()
    await putText(store, formatCommitPath(2), '{"add":')
    await assertFinds(store, 'log-unreadable', /line 1 of the log file/)
    await putText(store, formatCommitPath(2), '')
    await assertFinds(store, 'log-unreadable', /is empty/)
  })

  test('a commit that breaks a rule by itself', async () => {
    const remove = { remove: { path: 'a', dataChange: true } }
    const txn = { txn: { appId: 'a', version: 1n } }
    const domainMetadata = { domain: 'd', configuration: '', removed: false }
    const cases: [readonly Action[], RegExp][] = [
      [[{ metaData: metadataOf() }], /at most one `metaData`/],
      [[{ protocol: PROTOCOL }], /at most one `protocol`/],
      [[txn, txn], /two `txn` of `a`/],
      [[{ domainMetadata }, { domainMetadata }], /two `domainMetadata` of `d`/],
      [[{ add: addOf('a') }, { add: addOf('a') }], /two `add` of `a`/],
      [[remove, remove], /two `remove` of `a`/],
      [[{ add: addOf('a') }, remove], /added and removed with the same deletion vector/],
      [[{ add: addOf('a') }, { remove: { path: 'b', dataChange: false } }], /mixes `dataChange`/],
      [[{ add: addOf('a', 0) }], /has no bytes/],
      [[{ sidecar: { path: 's', sizeInBytes: 1, modificationTime: 1 } }], /no `sidecar`/],
    ]
    for (const [actions, message] of cases) await assertFinds(await logOf(actions), 'commit', message)
  })

  test('a protocol whose feature lists do not belong together', async () => {
    const lists = { minReaderVersion: 1, minWriterVersion: 2, writerFeatures: ['appendOnly'] }
    await assertFinds(await logOf([], { protocol: lists }), 'commit', /belong to writer version 7/)
    const reader = { ...lists, minReaderVersion: 3, minWriterVersion: 7, readerFeatures: ['deletionVectors'] }
    await assertFinds(await logOf([], { protocol: reader }), 'commit', /must be a writer feature too/)
  })

  test('a first commit without metadata, and a table that changes its id', async () => {
    const { store } = createTestLog()
    await putCommit(store, 0, [{ protocol: PROTOCOL }])
    await assertFinds(store, 'commit', /the first commit has no `metaData`/)
    const changed = await logOf([])
    await putCommit(changed, 1, [{ metaData: { ...metadataOf(), id: 'other' } }])
    await assertFinds(changed, 'commit', /id changes from `table-1` to `other`/)
  })

  test('actions that need a feature that the table has not', async () => {
    const domainMetadata = { domain: 'd', configuration: '', removed: false }
    await assertFinds(await logOf([{ domainMetadata }]), 'commit', /needs the table feature `domainMetadata`/)
    const add = { ...addOf('a'), deletionVector: DELETED_FIRST_ROW }
    await assertFinds(await logOf([{ add }]), 'commit', /needs the table feature `deletionVectors`/)
  })

  test('a file that gets a deletion vector and stays live without it too', async () => {
    const features = ['deletionVectors']
    const protocol = { ...writerFeatures(...features), minReaderVersion: 3, readerFeatures: features }
    const store = await logOf([{ add: addOf('a') }], { protocol })
    await putCommit(store, 1, [{ add: { ...addOf('a'), deletionVector: DELETED_FIRST_ROW } }])
    await assertFinds(store, 'commit', /`a` is added with another deletion vector/)
    await assertFinds(store, 'file-duplicate', /`a` is live twice/)
    await putCommit(store, 1, [
      { remove: { path: 'a', dataChange: true } },
      { add: { ...addOf('a'), deletionVector: DELETED_FIRST_ROW } },
    ])
    assert(!(await rulesOf(store)).includes('commit'))
  })

  test('in-commit timestamps that are missing, late in the commit, or do not rise', async () => {
    const store = await soundTable({ 'delta.enableInCommitTimestamps': 'true' })
    const [first] = (await readCommit(store, 2))!
    assert(first !== undefined && 'commitInfo' in first)
    const { inCommitTimestamp } = first.commitInfo
    await editCommit(store, 3, action => ('commitInfo' in action ? first : action))
    await assertFinds(store, 'commit-timestamp', new RegExp(`at ${inCommitTimestamp}, the one before it at`))
    await editCommit(store, 3, action => ('commitInfo' in action ? { commitInfo: {} } : action))
    await assertFinds(store, 'commit-timestamp', /has no `inCommitTimestamp`/)
    await editCommit(store, 3, action =>
      'add' in action ? [action, first] : 'commitInfo' in action ? [] : action,
    )
    await assertFinds(store, 'commit-timestamp', /is the first line/)
  })

  test('a schema that cannot be understood, or lacks a partition column', async () => {
    const broken = await logOf([])
    await editCommit(broken, 0, a =>
      'metaData' in a ? { metaData: { ...a.metaData, schemaString: '{' } } : a,
    )
    await assertFinds(broken, 'schema', /schema is not JSON/)
    const lacking = await logOf([])
    await editCommit(lacking, 0, a =>
      'metaData' in a ? { metaData: { ...a.metaData, partitionColumns: ['day'] } } : a,
    )
    await assertFinds(lacking, 'schema', /the partition column `day` is not in the schema/)
  })

  test('a checksum that differs in any of its fields', async () => {
    const domain = { domain: 'd', configuration: '', removed: false }
    const cases: [Record<string, unknown>, RegExp][] = [
      [{ numFiles: 9 }, /`numFiles` is 9, by the commits 2/],
      [{ tableSizeBytes: 9 }, /`tableSizeBytes` is 9/],
      [{ numMetadata: 2 }, /`numMetadata` is 2, by the commits 1/],
      [{ numProtocol: 2 }, /`numProtocol` is 2/],
      [{ numDeletedRecordsOpt: 1 }, /`numDeletedRecordsOpt` is 1, by the commits 0/],
      [{ numDeletionVectorsOpt: 1 }, /`numDeletionVectorsOpt` is 1/],
      [{ txnId: 'other' }, /`txnId` is other/],
      [{ setTransactions: [] }, /the `txn` of `app` is missing/],
      [{ setTransactions: [{ appId: 'app', version: 1 }] }, /`app` is at 1, by the commits at 2/],
      [{ domainMetadata: [domain] }, /the domain `d` is not that of the commits/],
      [{ protocol: { minReaderVersion: 1, minWriterVersion: 1 } }, /`protocol` is/],
      [{ metadata: metadataOf() }, /`metadata` is/],
      [{ allFiles: [addOf('z')] }, /the file `z` is not live by the commits/],
      [
        { fileSizeHistogram: { sortedBinBoundaries: [0, 10], fileCounts: [2, 0], totalBytes: [0, 0] } },
        /histogram/,
      ],
      [{ deletedRecordCountsHistogramOpt: { deletedRecordCounts: Array(10).fill(1) } }, /deleted rows/],
    ]
    for (const [fields, message] of cases) {
      const store = await soundTable()
      await editChecksum(store, 2, json => ({ ...json, ...fields }))
      await assertFinds(store, 'checksum', message)
      await assertFinds(store, 'checksum', message, { liveFilesMax: 1 })
    }
    const store = await soundTable()
    await putText(store, formatChecksumPath(2), '{')
    await assertFinds(store, 'checksum', /is not JSON/)
  })

  test('no fault in a checksum with all the fields that other writers write', async () => {
    const store = await soundTable()
    const adds = (await readCommit(store, 1))!.flatMap(action => ('add' in action ? [action.add] : []))
    const sizes = adds.map(add => add.size)
    await editChecksum(store, 1, json => ({
      ...json,
      allFiles: adds,
      fileSizeHistogram: { sortedBinBoundaries: [0, 10], fileCounts: [0, 1], totalBytes: [0, sizes[0]] },
      deletedRecordCountsHistogramOpt: { deletedRecordCounts: [1, ...Array(9).fill(0)] },
      numDeletedRecordsOpt: 0,
      numDeletionVectorsOpt: 0,
    }))
    assert.deepEqual(await rulesOf(store), [])
  })

  test('a checkpoint that differs from the commits in its files, its state, or cannot be read', async () => {
    const other = await soundTable()
    await editAdd(other, 2, add => ({ ...add, path: 'other.parquet' }))
    await assertFinds(other, 'checkpoint', /`other.parquet` is missing/)
    await assertFinds(other, 'checkpoint', /is not live by the commits/)

    const sized = await soundTable()
    await editAdd(sized, 2, add => ({ ...add, size: 1 }))
    await assertFinds(sized, 'checkpoint', /by the commits 1$/)

    const described = await soundTable()
    await editAdd(described, 2, add => ({ ...add, modificationTime: 1 }))
    await assertFinds(described, 'checkpoint', /described in another way/)

    const counted = await soundTable()
    await editAdd(counted, 2, add => ({ ...add, stats: '{"numRecords":7}' }))
    await assertFinds(counted, 'checkpoint', /has 3 rows, by the commits 7/)

    const advanced = await soundTable()
    await editCommit(advanced, 3, a => ('txn' in a ? { txn: { ...a.txn, version: 99n } } : a))
    await assertFinds(advanced, 'checkpoint', /`txn` of `app` is at 3, by the commits at 99/)

    const described0 = await soundTable()
    await editCommit(described0, 0, a => ('metaData' in a ? { metaData: { ...a.metaData, name: 'x' } } : a))
    await assertFinds(described0, 'checkpoint', /the metadata is not that of the commits/)

    const torn = await soundTable()
    await putText(torn, formatCheckpointPath(3), 'PAR1')
    await assertFinds(torn, 'checkpoint', /cannot be read/)
  })

  test('a checkpoint that holds a live file as removed', async () => {
    const store = await soundTable()
    const path = (await readCommit(store, 2))!.flatMap(a => ('add' in a ? [a.add.path] : []))[0]!
    const table = await soundTable()
    const removed = { remove: { path, dataChange: true, deletionTimestamp: 1_800_000_000_000, size: 1 } }
    await editCommit(table, 3, action => ('add' in action ? [action, removed] : action))
    await table.delete([formatCheckpointPath(3), POINTER])
    await writeCheckpoint(table, 3, encoder, testRuntime())
    const bytes = (await table.get(formatCheckpointPath(3)))!
    await store.put(formatCheckpointPath(3), bytes)
    await assertFinds(store, 'checkpoint', /is removed, by the commits it is live/)
  })

  test('a pointer that is damaged, or that is wrong about its checkpoint', async () => {
    const store = await soundTable()
    await putText(store, POINTER, '{"version":3,')
    await assertFinds(store, 'last-checkpoint', /cannot be understood/)
    const cases: [Parameters<typeof formatLastCheckpoint>[0], RegExp][] = [
      [{ version: 2, size: 1 }, /points at version 2, which has no complete checkpoint/],
      [{ version: 3, size: 99 }, /says that the checkpoint has 99 actions, it has 6/],
      [{ version: 3, size: 6, numOfAddFiles: 9 }, /says that the checkpoint has 9 files, it has 3/],
      [{ version: 3, size: 6, parts: 2 }, /has 2 parts, it has 1/],
    ]
    for (const [pointer, message] of cases) {
      await putText(store, POINTER, formatLastCheckpoint(pointer))
      await assertFinds(store, 'last-checkpoint', message)
    }
    await putText(store, POINTER, formatLastCheckpoint({ version: 3, size: 6, numOfAddFiles: 3 }))
    assert.deepEqual(await rulesOf(store), [])
  })
})

describe('a check finds among the files', () => {
  test('one that is missing or of another size', async () => {
    const store = await soundTable()
    const key = (await readCommit(store, 2))!.flatMap(a => ('add' in a ? [a.add.path] : []))[0]!
    await putText(store, key, 'x')
    await assertFinds(store, 'file-size', /has 1 bytes, by the log \d+/)
    await store.delete([key])
    await assertFinds(store, 'file-missing', /does not exist/)
  })

  test('a deletion vector that is missing, or has no count beside it', async () => {
    const features = ['deletionVectors']
    const protocol = { ...writerFeatures(...features), minReaderVersion: 3, readerFeatures: features }
    const vector = { storageType: 'u', pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^', sizeInBytes: 1 } as const
    const withVector = (stats: object): Action => ({
      add: { ...addOf('a'), ...stats, deletionVector: { ...vector, cardinality: 5 } },
    })
    const store = await logOf([withVector({})], { protocol })
    await assertFinds(store, 'file-missing', /the deletion vector `ab\/deletion_vector_.*\.bin` of `a`/)
    await assertFinds(store, 'statistics', /has a deletion vector and no `numRecords`/)
    const few = await logOf([withVector({ stats: '{"numRecords":2}' })], { protocol })
    await assertFinds(few, 'statistics', /has 2 rows, of which 5 are deleted/)
  })

  test('a path that a checkpoint holds twice, where the commits before it are gone', async () => {
    const checkpoint = [
      { checkpointMetadata: { version: 3 } },
      { protocol: PROTOCOL },
      { metaData: metadataOf() },
      { add: addOf('a') },
      { add: { ...addOf('a'), deletionVector: DELETED_FIRST_ROW } },
    ]
    const { store } = createTestLog()
    const key = '_delta_log/00000000000000000003.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json'
    await putText(store, key, checkpoint.map(formatAction).join('\n'))
    await assertFinds(store, 'file-duplicate', /`a` is in the checkpoint twice/)
    await assertFinds(store, 'file-duplicate', /`a` is live twice/)
  })

  test('partition values that are missing, too many, null where none is allowed, or of another type', async () => {
    const day =
      (partitionValues: Add['partitionValues']) =>
      (add: Add): Add => ({ ...add, partitionValues })
    const cases: [Add['partitionValues'], RegExp][] = [
      [{}, /has no value of the partition column `day`/],
      [{ day: 'Monday' }, /`Monday` is not of the type date/],
      [{ day: '2026-01-01', x: '1' }, /has values of `x`, no partition columns/],
    ]
    for (const [values, message] of cases) {
      const store = await soundTable()
      await editAdd(store, 4, day(values))
      await assertFinds(store, 'partition-value', message)
    }
    const store = await logOf([{ add: { ...addOf('a'), partitionValues: { id: null } } }])
    const schemaString = formatSchemaString(
      struct([field('id', primitive('long'), false), field('x', primitive('long'))]),
    )
    await editCommit(store, 0, a =>
      'metaData' in a ? { metaData: { ...a.metaData, schemaString, partitionColumns: ['id'] } } : a,
    )
    await assertFinds(store, 'not-null', /has null in the partition column `id`/)
  })

  test('row ids that are missing, of two files, above the mark, or a mark that falls', async () => {
    const protocol = writerFeatures('rowTracking', 'domainMetadata')
    const mark = (value: number): Action => ({
      domainMetadata: {
        domain: 'delta.rowTracking',
        configuration: `{"rowIdHighWaterMark":${value}}`,
        removed: false,
      },
    })
    const file = (path: string, baseRowId: bigint, defaultRowCommitVersion = 0): Action => ({
      add: { ...addOf(path), stats: '{"numRecords":10}', baseRowId, defaultRowCommitVersion },
    })
    const sound = await logOf([file('a', 0n), file('b', 10n), mark(19)], { protocol })
    assert.deepEqual(await rulesOf(sound), ['file-missing'])
    const cases: [readonly Action[], RegExp][] = [
      [[{ add: addOf('a') }, mark(19)], /has no `baseRowId`/],
      [[{ add: { ...addOf('a'), baseRowId: 0n, defaultRowCommitVersion: 0 } }, mark(9)], /no `numRecords`/],
      [[file('a', 0n), file('b', 9n), mark(19)], /the row ids from 9 on are of two files/],
      [[file('a', 0n), mark(8)], /the row id 9 is above the high-water mark 8/],
      [[file('a', 0n)], /the row id 9 is above the high-water mark -1/],
      [[file('a', 0n, 7), mark(9)], /has the row commit version 7/],
    ]
    for (const [actions, message] of cases) {
      await assertFinds(await logOf(actions, { protocol }), 'row-id', message)
    }
    await putCommit(sound, 1, [mark(18)])
    await assertFinds(sound, 'row-id', /falls from 19 to 18/)
  })
})

describe('a deep check finds in the rows', () => {
  const schema = struct([
    field('l', primitive('long')),
    field('s', primitive('string')),
    field('d', primitive('double')),
    field('t', primitive('timestamp')),
    field('n', decimal(10, 2)),
    field('o', struct([field('i', primitive('integer'))])),
  ])
  const rows = [
    { l: 9007199254740993n, s: '\uffff', d: 1.5, t: 1_234_567n, n: -150n, o: { i: 1 } },
    { l: -1n, s: '\u{10000}', d: -0, t: 0n, n: 150n, o: { i: null } },
    { l: null, s: null, d: null, t: null, n: null, o: null },
  ]
  const bounds =
    '{"numRecords":3,"minValues":{"l":-1,"s":"\uffff","d":0.0,"t":"1970-01-01T00:00:00.000Z","n":-1.50,"o":{"i":1}},' +
    '"maxValues":{"l":9007199254740993,"s":"\u{10000}","d":1.5,"t":"1970-01-01T00:00:01.234Z","n":1.50,"o":{"i":1}},' +
    '"nullCount":{"l":1,"s":1,"d":1,"t":1,"n":1,"o":{"i":2}}}'

  async function tableWith(
    stats: string,
    cells: readonly Record<string, unknown>[] = rows,
  ): Promise<ObjectStore> {
    const { store } = await createScanTable({ schema, files: [{ path: 'a', schema, rows: cells as never }] })
    await editAdd(store, 0, add => ({ ...add, stats }))
    return store
  }

  test('nothing where each row is within the bounds and the counts are exact', async () => {
    assert.deepEqual(await rulesOf(await tableWith(bounds), { deep: true }), [])
  })

  test('rows below the least and above the greatest value, exactly, in the order of readers', async () => {
    const cases: [string, string, RegExp][] = [
      ['"l":-1,', '"l":0,', /has `-1` in `l`, below the least `0`/],
      ['"l":9007199254740993', '"l":9007199254740992', /has `9007199254740993` in `l`, above the greatest/],
      ['"s":"\u{10000}"', '"s":"\uffff"', /in `s`, above the greatest/],
      ['"d":1.5', '"d":1.25', /has `1.5` in `d`, above/],
      ['01.234Z', '01.233Z', /has `1234567` in `t`, above/],
      ['"n":1.50', '"n":1.49', /has `150` in `n`, above/],
      [
        '"maxValues":{"l":9007199254740993,',
        '"maxValues":{"l":"x",',
        /a bound of `l` that is not of the column/,
      ],
    ]
    for (const [from, to, message] of cases) {
      assert(bounds.includes(from))
      await assertFinds(await tableWith(bounds.replace(from, to)), 'statistics', message, { deep: true })
    }
    const minOfNested = bounds.replace('"o":{"i":1}}', '"o":{"i":2}}')
    await assertFinds(await tableWith(minOfNested), 'statistics', /has `1` in `o.i`, below/, { deep: true })
  })

  test('NaN under a bound, which readers order above every number', async () => {
    const store = await tableWith('{"numRecords":1,"maxValues":{"d":5.0}}', [{ ...rows[0], d: Number.NaN }])
    await assertFinds(store, 'statistics', /has `NaN` in `d`, above the greatest `5`/, { deep: true })
  })

  test('counts of rows and nulls that are not exact', async () => {
    const counted = await tableWith(bounds.replace('"numRecords":3', '"numRecords":4'))
    await assertFinds(counted, 'statistics', /has 3 rows, by its statistics 4/, { deep: true })
    const nulls = await tableWith(bounds.replace('{"i":2}}}', '{"i":1}}}'))
    await assertFinds(nulls, 'statistics', /has 2 nulls in `o.i`, by its statistics 1/, { deep: true })
    assert.deepEqual(await rulesOf(nulls), [], 'without reading rows')
  })

  test('statistics that are none, a file that is no Parquet file, and nulls where there must be none', async () => {
    await assertFinds(await tableWith('{"numRecords":'), 'statistics', /cannot be understood/)
    const store = await tableWith(bounds)
    const { length } = (await store.get('a'))!
    await store.put('a', new Uint8Array(length))
    await assertFinds(store, 'file-unreadable', /does not end as a Parquet file does/, { deep: true })
    const strict = await tableWith(bounds)
    const schemaString = formatSchemaString(
      struct([field('l', primitive('long'), false), ...schema.fields.slice(1)]),
    )
    await editCommit(strict, 0, a => ('metaData' in a ? { metaData: { ...a.metaData, schemaString } } : a))
    await assertFinds(strict, 'not-null', /has 1 nulls in the column `l`/, { deep: true })
  })

  test('a file whose column is of another type than the table says', async () => {
    const store = await tableWith(bounds)
    const schemaString = formatSchemaString(
      struct([field('s', primitive('long')), ...schema.fields.slice(2)]),
    )
    await editCommit(store, 0, a => ('metaData' in a ? { metaData: { ...a.metaData, schemaString } } : a))
    await assertFinds(store, 'file-unreadable', /`a`/, { deep: true })
  })
})

test('of very many findings the first are kept and the others counted', async () => {
  const adds = Array.from({ length: 1_100 }, (_, i) => ({ add: addOf(`f${i}`) }))
  const { findings, findingsLeftOut } = await checkTable(await logOf(adds))
  assert.equal(findings.length, 1_000)
  assert.equal(findingsLeftOut, 100)
})
