import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import {
  type Add,
  DeltaTable,
  encodeDataFile,
  evolvedState,
  evolveTable,
  field,
  InjectedCrash,
  loadSnapshot,
  MemoryObjectStore,
  primitive,
  type Runtime,
  readCommit,
  type StoreFault,
  type StructType,
  scanTable,
  struct,
  type TableChange,
  uploadDataFile,
} from '@stream-ingest/delta'
import { BatchBuilder } from '@stream-ingest/delta/column'
import fc from 'fast-check'
import { appendFields } from '../src/column/append-value.ts'
import { createEvents, EVENTS, encoder, testRuntime } from './table-fixture.ts'

/** `id`, and a column of whole numbers for each name. */
function rowsSchema(names: readonly string[]): StructType {
  return struct([EVENTS.fields[0]!, ...names.map(name => field(name, primitive('long')))])
}

function changeOf(table: DeltaTable, incoming: StructType): TableChange | null {
  const evolution = evolveTable(table.state, incoming, table.runtime.uuid)
  assert(evolution.status !== 'incompatible', JSON.stringify(evolution))
  return evolution.status === 'unchanged' ? null : evolution
}

/** Uploads one file of rows that have a value in every column. */
async function upload(
  table: DeltaTable,
  schema: StructType,
  ids: readonly bigint[],
): Promise<{ adds: Add[]; rowCounts: number[] }> {
  const rows = new BatchBuilder(schema)
  for (const id of ids) {
    appendFields(schema.fields, rows.columns, Object.fromEntries(schema.fields.map(f => [f.name, id])))
    rows.endRow()
  }
  const state = evolvedState(table.state, evolveTable(table.state, schema, table.runtime.uuid))
  const options = { codec: 'snappy' } as const
  const file = encodeDataFile(state, encoder, rows.finish(), { day: null }, options, table.runtime)
  return { adds: [await uploadDataFile(table.store, file, table.runtime)], rowCounts: [ids.length] }
}

suite('an append that changes the table', () => {
  test('carries metadata and files in one commit, commitInfo first, and tells the truth about itself', async () => {
    const runtime = testRuntime()
    const store = new MemoryObjectStore({ now: runtime.now })
    const table = await createEvents(store, runtime, { 'my.own': 'x' })
    const before = table.state.metadata
    const schema = rowsSchema(['extra'])
    const change = changeOf(table, schema)!
    const outcome = await table.append({
      ...(await upload(table, schema, [1n])),
      txns: [{ appId: 'a', version: 1n, lastUpdated: runtime.now() }],
      change,
    })
    assert(outcome.status === 'committed')
    const commit = (await readCommit(store, 1))!
    assert.deepEqual(
      commit.map(a => Object.keys(a)[0]),
      ['commitInfo', 'metaData', 'txn', 'add'],
    )
    assert.equal('commitInfo' in commit[0]! && commit[0].commitInfo.isBlindAppend, true)
    assert.deepEqual({ ...table.state.metadata, schemaString: '' }, { ...before, schemaString: '' })
    assert.deepEqual(
      table.state.schema.fields.map(f => f.name),
      ['id', 'name', 'day', 'extra'],
    )
  })

  test('upgrades the protocol before the metadata where a type needs it', async () => {
    const runtime = testRuntime()
    const store = new MemoryObjectStore({ now: runtime.now })
    const table = await createEvents(store, runtime)
    const schema = struct([EVENTS.fields[0]!, field('at', primitive('timestamp_ntz'))])
    const change = changeOf(table, schema)!
    const outcome = await table.append({ ...(await upload(table, schema, [1n])), txns: [], change })
    assert(outcome.status === 'committed')
    assert.deepEqual(
      (await readCommit(store, 1))!.map(a => Object.keys(a)[0]),
      ['commitInfo', 'protocol', 'metaData', 'add'],
    )
    assert.deepEqual(table.state.protocol.readerFeatures, ['timestampNtz'])
  })

  test('keeps in-commit timestamps', async () => {
    const runtime = testRuntime()
    const store = new MemoryObjectStore({ now: runtime.now })
    const table = await createEvents(store, runtime, { 'delta.enableInCommitTimestamps': 'true' })
    const first = table.state.inCommitTimestampMs!
    const schema = rowsSchema(['extra'])
    const change = changeOf(table, schema)!
    await table.append({ ...(await upload(table, schema, [1n])), txns: [], change })
    assert.equal(table.state.inCommitTimestampMs, first + 1)
  })

  test('goes on top of a winner that only appended', async () => {
    const runtime = testRuntime()
    const store = new MemoryObjectStore({ now: runtime.now })
    const ours = await createEvents(store, runtime)
    const other = (await DeltaTable.open(store, { runtime: testRuntime(undefined, 2) }))!
    await other.append({ ...(await upload(other, rowsSchema([]), [1n])), txns: [] })
    const schema = rowsSchema(['extra'])
    const change = changeOf(ours, schema)!
    const outcome = await ours.append({ ...(await upload(ours, schema, [2n])), txns: [], change })
    assert.equal(outcome.status === 'committed' && outcome.state.version, 2)
  })

  test('never gives the table another id', async () => {
    const runtime = testRuntime()
    const store = new MemoryObjectStore({ now: runtime.now })
    const table = await createEvents(store, runtime)
    const metadata = { ...table.state.metadata, id: 'another' }
    await assert.rejects(
      table.append({ adds: [], rowCounts: [], txns: [], change: { metadata, protocol: null } }),
      { code: 'ERR_ASSERTION' },
    )
  })

  test('is refused where what it would make of the table cannot be written', async () => {
    const runtime = testRuntime()
    const store = new MemoryObjectStore({ now: runtime.now })
    const table = await createEvents(store, runtime)
    const protocol = { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['fromTheFuture'] }
    const change = { metadata: table.state.metadata, protocol }
    await assert.rejects(table.append({ adds: [], rowCounts: [], txns: [], change }), {
      code: 'DELTA_PROTOCOL_UNSUPPORTED',
    })
    assert.equal(await readCommit(store, 1), null)
  })
})

/** Waiting costs a turn of the event loop, so that others get theirs. */
function sharedRuntime(seed: number): Runtime {
  const runtime = testRuntime(undefined, seed)
  const { delay } = runtime
  return {
    ...runtime,
    delay: async ms => {
      await delay(ms)
      await setImmediate()
    },
  }
}

/** A writer that dies now and then, and goes on from what the table holds. */
class EvolvingWriter {
  readonly appId: string
  readonly rounds: readonly (readonly string[])[]
  readonly #store: MemoryObjectStore
  readonly #runtime: Runtime
  metadataConflicts = 0

  constructor(store: MemoryObjectStore, index: number, rounds: readonly (readonly string[])[]) {
    this.#store = store
    this.#runtime = sharedRuntime(10 + index)
    this.appId = `w${index}`
    this.rounds = rounds
  }

  id(round: number): bigint {
    return BigInt(Number(this.appId.slice(1)) * 1000 + round)
  }

  async run(): Promise<void> {
    for (let life = 0; life < 200; life++) {
      try {
        await this.#live()
        return
      } catch (error) {
        if (!(error instanceof InjectedCrash)) throw error
      }
    }
    throw new Error('too many deaths')
  }

  async #live(): Promise<void> {
    const table = (await DeltaTable.open(this.#store, { runtime: this.#runtime }))!
    for (;;) {
      const round = Number(table.state.txns.get(this.appId)?.version ?? 0n)
      if (round === this.rounds.length) return
      await this.#write(table, round)
    }
  }

  async #write(table: DeltaTable, round: number): Promise<void> {
    const schema = rowsSchema(this.rounds[round]!)
    const files = await upload(table, schema, [this.id(round)])
    for (let plan = 0; plan < 50; plan++) {
      const change = changeOf(table, schema)
      const txns = [{ appId: this.appId, version: BigInt(round + 1), lastUpdated: this.#runtime.now() }]
      const outcome = await table.append({ ...files, txns, ...(change === null ? {} : { change }) })
      if (outcome.status === 'committed') return
      assert.equal(outcome.reason.kind, 'metadata')
      this.metadataConflicts++
      await table.reload()
    }
    assert.fail('no end to re-planning')
  }
}

test('whoever adds columns at once, and whatever fails: each row is there once, no column is lost', async () => {
  let conflicts = 0
  const columns = fc.subarray(['a', 'b', 'c', 'd', 'e'])
  const writers = fc.array(fc.array(columns, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 4 })
  const faults = fc.infiniteStream(
    fc.option(
      fc.constantFrom<StoreFault>(
        { kind: 'lost-answer' },
        { kind: 'own-earlier-write' },
        { kind: 'timeout' },
        { kind: 'conflict' },
        { kind: 'crash', moment: 'before' },
        { kind: 'crash', moment: 'after' },
      ),
      { freq: 3 },
    ),
  )
  await fc.assert(
    fc.asyncProperty(writers, faults, async (plans, stream) => {
      const runtime = sharedRuntime(1)
      let isFaulty = false
      const store = new MemoryObjectStore({
        now: runtime.now,
        faults: ({ operation }) =>
          isFaulty && operation === 'putIfAbsent' ? (stream.next().value ?? undefined) : undefined,
      })
      const created = await createEvents(store, testRuntime())
      isFaulty = true
      const all = plans.map((rounds, i) => new EvolvingWriter(store, i, rounds))
      await Promise.all(all.map(writer => writer.run()))
      for (const writer of all) conflicts += writer.metadataConflicts

      const expected = new Map(
        all.flatMap(w => w.rounds.map((names, round) => [w.id(round), new Set(names)] as const)),
      )
      const { state } = (await loadSnapshot(store))!
      assert.equal(state.metadata.id, created.state.metadata.id)
      const wanted = new Set(plans.flat(2))
      assert.deepEqual(
        state.schema.fields.map(f => f.name).sort(),
        [...EVENTS.fields.map(f => f.name), ...wanted].sort(),
      )
      const seen: bigint[] = []
      for await (const rows of scanTable((await loadSnapshot(store))!)) {
        for (const row of rows) {
          const id = row.id as bigint
          seen.push(id)
          for (const name of wanted) assert.equal(row[name], expected.get(id)!.has(name) ? id : null)
        }
      }
      assert.deepEqual(seen.sort(), [...expected.keys()].sort())
    }),
    { numRuns: 60 },
  )
  assert(conflicts > 10, `only ${conflicts} conflicts: nothing was proved`)
})
