import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Action, Protocol } from '../src/action.ts'
import { writeCheckpoint } from '../src/checkpoint.ts'
import { DeltaTable, type UpkeepOutcome } from '../src/delta-table.ts'
import { loadTableState } from '../src/load-table-state.ts'
import { cleanUpLog, LOG_DELETES_MAX, type LogCleanupOutcome, planLogCleanup } from '../src/log-cleanup.ts'
import {
  formatCheckpointPartPath,
  formatCheckpointPath,
  formatChecksumPath,
  formatCommitPath,
  formatCompactedPath,
  formatV2CheckpointPath,
  parseLogPath,
} from '../src/log-path.ts'
import { createParquetEncoder } from '../src/parquet/file-encoder.ts'
import { loadSnapshot } from '../src/snapshot.ts'
import { MemoryObjectStore } from '../src/store/memory.ts'
import { FaultQueue } from '../src/store/store-fault.ts'
import { appendEvents, createEvents, encoder, testRuntime } from './table-fixture.ts'
import { addOf, createTestLog, metadataOf, PROTOCOL, type TestLog } from './table-log.ts'

const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const UUID = '123e4567-e89b-42d3-a456-426614174000'

/** Versions 0 to `newest`, an hour each from the epoch on, with a checksum each and a checkpoint every ten. */
async function hourlyLog(
  newest: number,
  configuration: Record<string, string> = {},
  protocol: Protocol = PROTOCOL,
  faults = new FaultQueue(),
): Promise<Pick<TestLog, 'store'>> {
  let nowMs = 0
  const store = new MemoryObjectStore({ now: () => nowMs, faults: faults.hook })
  const put = (key: string, text: string): Promise<void> => store.put(key, new TextEncoder().encode(text))
  const log = createTestLog()
  for (let version = 0; version <= newest; version++) {
    nowMs = version * HOUR_MS
    const actions: Action[] = [
      { commitInfo: { inCommitTimestamp: nowMs } },
      ...(version === 0 ? [{ protocol }, { metaData: metadataOf(configuration) }] : []),
      { add: addOf(`f${version}`) },
    ]
    await log.commit(version, actions)
    await store.put(formatCommitPath(version), (await log.store.get(formatCommitPath(version)))!)
    await put(formatChecksumPath(version), '{}')
    if (version > 0 && version % 10 === 0) {
      await writeCheckpoint(store, version, createParquetEncoder(), { ...testRuntime(), now: () => nowMs })
    }
  }
  return { store }
}

async function cleaned(store: MemoryObjectStore, nowMs: number): Promise<LogCleanupOutcome> {
  return cleanUpLog(store, (await loadTableState(store))!, nowMs)
}

async function versionsOf(store: MemoryObjectStore, kind: string): Promise<number[]> {
  const versions: number[] = []
  for await (const { key } of store.list('_delta_log/')) {
    const path = parseLogPath(key)
    if (path?.kind === kind) versions.push(path.version)
  }
  return versions
}

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** What a plan says of files that are given by key, all of one size. */
function planOf(keys: readonly string[], expiredVersion: number): [number, readonly string[]] | null {
  const files = keys.map(key => ({ key, path: parseLogPath(key)!, sizeBytes: 1, lastModifiedMs: 0 }))
  const plan = planLogCleanup(files, expiredVersion)
  return plan === null ? null : [plan.checkpoint.version, plan.keys]
}

suite('the plan of a log cleanup', () => {
  test('keeps the newest expired checkpoint with its commit, and all from there on', () => {
    const log = [
      ...range(0, 25).flatMap(v => [formatCommitPath(v), formatChecksumPath(v)]),
      formatCheckpointPath(10),
      formatCheckpointPath(20),
    ]
    const upTo9 = range(0, 9).flatMap(v => [formatCommitPath(v), formatChecksumPath(v)])
    assert.deepEqual(planOf(log, 19), [10, upTo9])
    assert.deepEqual(planOf(log, 10), [10, upTo9])
    assert.equal(planOf(log, 9), null)
    const [keptFrom, keys] = planOf(log, 24)!
    assert.equal(keptFrom, 20)
    assert.deepEqual(keys.slice(20, 24), [
      formatCommitPath(10),
      formatChecksumPath(10),
      formatCheckpointPath(10),
      formatCommitPath(11),
    ])
    assert.equal(keys.length, 41)
  })

  test('relies on complete checkpoints only, of any form', () => {
    const commits = range(0, 9).map(formatCommitPath)
    const parts = [1, 2].map(part => formatCheckpointPartPath(5, part, 2))
    assert.equal(planOf([...commits, parts[0]!], 9), null)
    assert.equal(planOf([...commits, ...parts], 9)![0], 5)
    assert.equal(planOf([...commits, formatV2CheckpointPath(5, UUID, 'json')], 9)![0], 5)
    const empty = { key: formatCheckpointPath(5), sizeBytes: 0, lastModifiedMs: 0 }
    assert.equal(planLogCleanup([{ ...empty, path: parseLogPath(empty.key)! }], 9), null)
  })

  test('takes compacted commits away that begin at the checkpoint or before', () => {
    const kept = formatCompactedPath(6, 9)
    const log = [formatCompactedPath(2, 4), formatCompactedPath(5, 7), kept, formatCheckpointPath(5)]
    assert.deepEqual(planOf(log, 9), [5, [formatCompactedPath(2, 4), formatCompactedPath(5, 7)]])
  })
})

suite('log cleanup', () => {
  test('keeps what the retention covers, counted from the last midnight', async () => {
    const { store } = await hourlyLog(80)
    // Thirty days back is the third day: it has not begun a midnight ago, then it has.
    assert.deepEqual(await cleaned(store, 32 * DAY_MS - 1), {
      status: 'clean',
      keptFrom: 20,
      filesDeleted: 41,
      sidecarsDeleted: 0,
    })
    assert.deepEqual(await versionsOf(store, 'commit'), range(20, 80))
    assert.deepEqual(await versionsOf(store, 'checksum'), range(20, 80))
    assert.deepEqual(
      await versionsOf(store, 'classic-checkpoint'),
      range(2, 8).map(n => n * 10),
    )
    assert.equal((await cleaned(store, 32 * DAY_MS)).keptFrom, 40)
    assert.equal((await (await loadSnapshot(store))!.allFiles()).length, 81)
    assert.equal((await (await loadSnapshot(store, { version: 40 }))!.allFiles()).length, 41)
  })

  test('says of a version that it has cleaned away that the log no longer holds it', async () => {
    const { store } = await hourlyLog(30)
    await cleaned(store, 33 * DAY_MS)
    await assert.rejects(loadSnapshot(store, { version: 12 }), {
      code: 'DELTA_VERSION_NOT_FOUND',
      message: /no longer holds version 12; the oldest it holds is 30/,
    })
    await assert.rejects(loadSnapshot(store, { timestampMs: 12 * HOUR_MS }), {
      code: 'DELTA_VERSION_NOT_FOUND',
      message: /the oldest commit that the log of .* holds is younger/,
    })
  })

  test('does as the table says', async () => {
    const { store } = await hourlyLog(30, { 'delta.logRetentionDuration': 'interval 1 day' })
    assert.equal((await cleaned(store, 2 * DAY_MS)).keptFrom, 20)
    const { store: other } = await hourlyLog(30, { 'delta.enableExpiredLogCleanup': 'false' })
    assert.equal((await cleaned(other, 400 * DAY_MS)).status, 'disabled')
    assert.deepEqual(await versionsOf(other, 'commit'), range(0, 30))
  })

  test('lists no more than it needs where nothing has expired', async () => {
    const { store } = await hourlyLog(30)
    assert.deepEqual(await cleaned(store, 30 * DAY_MS), {
      status: 'clean',
      keptFrom: null,
      filesDeleted: 0,
      sidecarsDeleted: 0,
    })
    assert.deepEqual(await versionsOf(store, 'commit'), range(0, 30))
  })

  test('goes by in-commit timestamps where the table has them, and by the times of objects before', async () => {
    const inCommit: Protocol = {
      minReaderVersion: 1,
      minWriterVersion: 7,
      writerFeatures: ['inCommitTimestamp'],
    }
    for (const enabledAt of ['0', '33']) {
      const configuration = {
        'delta.enableInCommitTimestamps': 'true',
        'delta.inCommitTimestampEnablementVersion': enabledAt,
      }
      for (const [nowMs, keptFrom] of [
        [30 * DAY_MS, null],
        [31 * DAY_MS, 20],
        [32 * DAY_MS, 40],
        [400 * DAY_MS, 70],
      ] as const) {
        const { store } = await hourlyLog(75, configuration, inCommit)
        if (enabledAt === '0') {
          // Copied: the objects are younger than the commits.
          for (const version of range(0, 75)) {
            const key = formatCommitPath(version)
            await store.put(key, (await store.get(key))!)
          }
        }
        assert.equal((await cleaned(store, nowMs)).keptFrom, keptFrom, `${enabledAt} ${nowMs}`)
      }
    }
  })

  test('raises the times of objects from version to version', async () => {
    let nowMs = 0
    const log = createTestLog(() => nowMs)
    // Version 1 is younger than the cutoff, so that what follows is too, whatever its time.
    for (const [version, day] of [0, 5, 1, 1, 1].entries()) {
      nowMs = day * DAY_MS
      const first = version === 0 ? [{ protocol: PROTOCOL }, { metaData: metadataOf() }] : []
      await log.commit(version, [...first, { add: addOf(`f${version}`) }])
    }
    await writeCheckpoint(log.store, 3, createParquetEncoder(), testRuntime())
    const { store } = createTestLog(() => DAY_MS)
    for await (const { key } of log.store.list('_delta_log/'))
      await store.put(key, (await log.store.get(key))!)
    assert.equal((await cleaned(log.store, 33 * DAY_MS)).keptFrom, null)
    assert.equal((await cleaned(log.store, 37 * DAY_MS)).keptFrom, 3)
    // Of versions with one time, that of the cutoff itself, the first is from then and the others from later.
    assert.equal((await cleaned(store, 31 * DAY_MS)).keptFrom, null)
    assert.equal((await cleaned(store, 32 * DAY_MS)).keptFrom, 3)
  })

  test('leaves checkpoints alone that the table protects', async () => {
    const protocol = { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['checkpointProtection'] }
    for (const [version, status] of [
      ['21', 'protected'],
      ['20', 'clean'],
    ] as const) {
      const configuration = { 'delta.requireCheckpointProtectionBeforeVersion': version }
      const { store } = await hourlyLog(25, configuration, protocol)
      assert.equal((await cleaned(store, 400 * DAY_MS)).status, status)
      assert.equal((await versionsOf(store, 'commit')).length, status === 'clean' ? 6 : 26)
    }
  })

  test('is refused on tables that a catalog manages, and on those with features that are not known', async () => {
    for (const feature of ['catalogManaged', 'strangeFeature']) {
      const { store } = await hourlyLog(3)
      const state = (await loadTableState(store))!
      const protocol = { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: [feature] }
      await assert.rejects(cleanUpLog(store, { ...state, protocol }, 400 * DAY_MS), {
        code: 'DELTA_PROTOCOL_UNSUPPORTED',
        message: new RegExp(feature),
      })
    }
  })

  test('deletes nothing where the checkpoint that is to stand for it cannot be read', async () => {
    const { store } = await hourlyLog(25)
    await store.put(formatCheckpointPath(20), new TextEncoder().encode('PAR1 not really PAR1'))
    await assert.rejects(cleaned(store, 400 * DAY_MS), { code: 'DELTA_LOG_CORRUPT' })
    assert.deepEqual(await versionsOf(store, 'commit'), range(0, 25))
  })

  test('that dies in the middle leaves a log that begins later, and the next one goes on', async () => {
    for (const moment of ['before', 'after'] as const) {
      for (let survived = 0; survived < 3; survived++) {
        const faults = new FaultQueue()
        const { store } = await hourlyLog(120, {}, PROTOCOL, faults)
        let calls = 0
        faults.add('delete', { kind: 'crash', moment }, () => calls++ === survived)
        await assert.rejects(cleaned(store, 400 * DAY_MS), { name: 'InjectedCrash' })
        assert.equal(faults.pendingCount, 0)
        const commits = await versionsOf(store, 'commit')
        const oldest = commits[0]!
        assert.deepEqual(commits, range(oldest, 120))
        assert.equal(oldest > 0, survived > 0 || moment === 'after')
        assert.equal((await (await loadSnapshot(store))!.allFiles()).length, 121)
        for (const version of commits.slice(0, 12)) {
          // Each version is there in full, or gone with a clear word.
          const files = await loadSnapshot(store, { version }).then(
            snapshot => snapshot!.allFiles(),
            (error: unknown) => {
              assert.equal((error as { code: string }).code, 'DELTA_VERSION_NOT_FOUND')
              return null
            },
          )
          if (files !== null) assert.equal(files.length, version + 1)
        }
        assert.equal((await cleaned(store, 400 * DAY_MS)).keptFrom, 120)
        assert.deepEqual(await versionsOf(store, 'commit'), [120])
      }
    }
  })

  test('deletes a bounded number of files in one call', async () => {
    const { store } = await hourlyLog(30)
    const long = new MemoryObjectStore({ now: () => 0 })
    const last = LOG_DELETES_MAX + 10
    for (let version = 1; version < last; version++) {
      await long.put(formatCommitPath(version), new Uint8Array([1]))
    }
    await long.put(formatCommitPath(last), (await store.get(formatCommitPath(30)))!)
    await long.put(formatCheckpointPath(last), (await store.get(formatCheckpointPath(30)))!)
    assert.deepEqual(await cleaned(long, 400 * DAY_MS), {
      status: 'more',
      keptFrom: last,
      filesDeleted: LOG_DELETES_MAX,
      sidecarsDeleted: 0,
    })
    assert.deepEqual(await versionsOf(long, 'commit'), range(LOG_DELETES_MAX + 1, last))
    assert.equal((await cleaned(long, 400 * DAY_MS)).status, 'clean')
    assert.deepEqual(await versionsOf(long, 'commit'), [last])
  })
})

suite('sidecars', () => {
  const protocol: Protocol = {
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures: ['v2Checkpoint'],
    writerFeatures: ['v2Checkpoint'],
  }

  async function sidecarsOf(store: MemoryObjectStore): Promise<string[]> {
    const keys: string[] = []
    for await (const { key } of store.list('_delta_log/_sidecars/')) keys.push(key)
    return keys
  }

  async function sidecarLog(): Promise<{ store: MemoryObjectStore; at: (ms: number) => void }> {
    let nowMs = 0
    const store = new MemoryObjectStore({ now: () => nowMs })
    const log = createTestLog()
    for (let version = 0; version <= 30; version++) {
      nowMs = version * DAY_MS
      const metaData = metadataOf({
        'delta.checkpointPolicy': 'v2',
        'delta.logRetentionDuration': 'interval 15 days',
      })
      await log.commit(version, [
        ...(version === 0 ? [{ protocol }, { metaData }] : []),
        { add: addOf(`f${version}`) },
      ])
      await store.put(formatCommitPath(version), (await log.store.get(formatCommitPath(version)))!)
      if (version % 10 === 0 && version > 0) {
        const runtime = { ...testRuntime(1, version), now: () => nowMs }
        await writeCheckpoint(store, version, createParquetEncoder(), runtime, { fileActionsMax: 20 })
      }
    }
    return {
      store,
      at: ms => {
        nowMs = ms
      },
    }
  }

  test('go with the last checkpoint that refers to them', async () => {
    const { store } = await sidecarLog()
    const before = await sidecarsOf(store)
    // Version 10 has eleven files, and none apart; 20 and 30 have two sidecars each.
    assert.equal(before.length, 4)
    assert.deepEqual(await cleaned(store, 34 * DAY_MS), {
      status: 'clean',
      keptFrom: 10,
      filesDeleted: 10,
      sidecarsDeleted: 0,
    })
    assert.deepEqual(await cleaned(store, 50 * DAY_MS), {
      status: 'clean',
      keptFrom: 30,
      filesDeleted: 22,
      sidecarsDeleted: 2,
    })
    assert.deepEqual(await sidecarsOf(store), before.slice(2))
    assert.equal((await (await loadSnapshot(store))!.allFiles()).length, 31)
  })

  test('that no checkpoint refers to go when they are a day old', async () => {
    const { store, at } = await sidecarLog()
    const orphan = '_delta_log/_sidecars/orphan.parquet'
    at(40 * DAY_MS + HOUR_MS)
    await store.put(orphan, new Uint8Array([1]))
    assert.equal((await cleaned(store, 42 * DAY_MS - 1)).sidecarsDeleted, 0)
    assert.equal((await cleaned(store, 42 * DAY_MS + 1)).sidecarsDeleted, 1)
    assert(!(await sidecarsOf(store)).includes(orphan))
    assert.equal((await (await loadSnapshot(store))!.allFiles()).length, 31)
  })

  test('that are missing keep the log that they are to stand for', async () => {
    const { store } = await sidecarLog()
    await store.delete([(await sidecarsOf(store))[3]!])
    await assert.rejects(cleaned(store, 50 * DAY_MS), { code: 'DELTA_LOG_CORRUPT', message: /sidecar/ })
    assert.equal((await versionsOf(store, 'commit')).length, 31)
  })
})

suite('upkeep', () => {
  const isClean = ({ logCleanup }: UpkeepOutcome): boolean =>
    typeof logCleanup === 'object' && 'status' in logCleanup && logCleanup.status === 'clean'

  test('cleans the log up after a checkpoint, once a day', async () => {
    const runtime = testRuntime()
    const store = new MemoryObjectStore({ now: runtime.now })
    const table = await createEvents(store, runtime, { 'delta.checkpointInterval': '2' })
    const outcomes: UpkeepOutcome[] = []
    for (let i = 1; i <= 12; i++) {
      // Five checkpoints within a day, then one much later.
      await runtime.delay(i === 11 ? 40 * DAY_MS : 1000)
      await appendEvents(table, [i], 'p:0', BigInt(i))
      outcomes.push(await table.upkeep(encoder))
    }
    assert.deepEqual(
      outcomes.flatMap((outcome, i) => (isClean(outcome) ? [i + 1] : [])),
      [2, 12],
    )
    assert(outcomes.every(({ logCleanup }) => logCleanup === 'not-due' || !('error' in logCleanup)))
    const [oldest] = await versionsOf(store, 'commit')
    assert.equal(oldest, 10)
    assert.equal((await DeltaTable.open(store, { runtime }))!.state.version, 12)
  })

  test('believes the store and not a clock that runs ahead of it', async () => {
    const runtime = testRuntime()
    const store = new MemoryObjectStore({ now: () => runtime.now() - 400 * DAY_MS })
    const table = await createEvents(store, runtime, { 'delta.checkpointInterval': '2' })
    for (let i = 1; i <= 4; i++) {
      await appendEvents(table, [i], 'p:0', BigInt(i))
      assert.equal(isClean(await table.upkeep(encoder)), i === 2)
    }
    assert.deepEqual(await versionsOf(store, 'commit'), range(0, 4))
  })

  test('does not fail where the cleanup does', async () => {
    const faults = new FaultQueue().add('delete', { kind: 'timeout' })
    const runtime = testRuntime()
    const store = new MemoryObjectStore({ now: runtime.now, faults: faults.hook })
    const table = await createEvents(store, runtime, {
      'delta.checkpointInterval': '2',
      'delta.logRetentionDuration': 'interval 1 day',
    })
    const outcomes: UpkeepOutcome[] = []
    for (let i = 1; i <= 6; i++) {
      await runtime.delay(2 * DAY_MS)
      await appendEvents(table, [i], 'p:0', BigInt(i))
      outcomes.push(await table.upkeep(encoder))
    }
    const failed = outcomes.filter(
      ({ logCleanup }) => typeof logCleanup === 'object' && 'error' in logCleanup,
    )
    assert.equal(failed.length, 1)
    assert.equal(outcomes.filter(isClean).length, 2)
    assert.equal(table.state.version, 6)
  })
})
