/**
 * Tables on disk for the verbs that look at tables, made through the library's own write path, and a world to run in.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import {
  type Add,
  checkTable,
  createParquetEncoder,
  DeltaTable,
  encodeDataFile,
  openStore,
  type StructType,
  struct,
  systemRuntime,
  type Txn,
  uploadDataFile,
} from '@stream-ingest/delta'
import { appendFields, BatchBuilder } from '@stream-ingest/delta/column'
import type { CommandIo, OutputStream } from '../../src/cli/command-io.ts'
import { runCommandLine } from '../../src/cli/command-line.ts'

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'stream-ingest-cli-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  return folder
}

export type FixtureRow = Readonly<Record<string, unknown>>

/** One data file of an append. */
export interface FixtureFile {
  /** Without partition columns. */
  readonly rows: readonly FixtureRow[]
  readonly partitionValues?: Readonly<Record<string, string | null>>
}

export interface FixtureCommit {
  readonly files: readonly FixtureFile[]
  readonly txns?: readonly Txn[]
  readonly operationParameters?: Readonly<Record<string, unknown>>
}

export interface FixtureTable {
  readonly schema: StructType
  readonly partitionColumns?: readonly string[]
  readonly properties?: Readonly<Record<string, string>>
  readonly commits: readonly FixtureCommit[]
}

const encoder = createParquetEncoder()

/** Writes a table whose version 0 creates it, and one more version for each commit, and asserts that it is sound. */
export async function writeTable(path: string, fixture: FixtureTable): Promise<void> {
  const { schema, partitionColumns = [], properties = {} } = fixture
  const store = openStore(path)
  const { table } = await DeltaTable.openOrCreate(store, { schema, partitionColumns, properties })
  const dataSchema = struct(schema.fields.filter(f => !partitionColumns.includes(f.name)))
  for (const { files, txns = [], operationParameters } of fixture.commits) {
    const adds: Add[] = []
    for (const file of files) adds.push(await writeFile(table, dataSchema, file))
    const outcome = await table.append({
      adds,
      rowCounts: files.map(file => file.rows.length),
      txns,
      ...(operationParameters === undefined ? {} : { operationParameters }),
    })
    assert.equal(outcome.status, 'committed')
    await table.upkeep(encoder)
  }
  assert.deepEqual((await checkTable(store, { deep: true })).findings, [])
}

async function writeFile(table: DeltaTable, schema: StructType, file: FixtureFile): Promise<Add> {
  const batch = new BatchBuilder(schema)
  for (const row of file.rows) {
    appendFields(schema.fields, batch.columns, row)
    batch.endRow()
  }
  const encoded = encodeDataFile(
    table.state,
    encoder,
    batch.finish(),
    file.partitionValues ?? {},
    { codec: 'snappy' },
    table.runtime,
  )
  return uploadDataFile(table.store, encoded, table.runtime)
}

export interface Shown {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export interface World {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** A terminal of this many characters a line; without it stdout is a pipe. */
  readonly terminalWidth?: number
  readonly nowMs?: number
  /** Sends SIGTERM when this resolves. */
  readonly stopAfter?: Promise<unknown>
  /** In place of the stream that keeps what is written. */
  readonly stdout?: OutputStream
}

/** Runs a command in this process. */
export async function show(args: readonly string[], world: World): Promise<Shown> {
  const written = { stdout: '', stderr: '' }
  const keep = (stream: 'stdout' | 'stderr'): OutputStream => ({
    write: text => {
      written[stream] += text
      return true
    },
    ...(world.terminalWidth === undefined ? {} : { isTTY: true, columns: world.terminalWidth }),
  })
  const { nowMs } = world
  const refuse = (): never => assert.fail('the command ends the process')
  const io: CommandIo = {
    stdout: world.stdout ?? keep('stdout'),
    stderr: keep('stderr'),
    env: world.env ?? {},
    cwd: world.cwd,
    runtime: {
      ...systemRuntime,
      ...(nowMs === undefined ? {} : { now: () => nowMs }),
      // A slow machine must not make a command say that it takes long.
      monotonicMs: () => systemRuntime.monotonicMs() / 1_000,
    },
    onStopSignal: listener => {
      void world.stopAfter?.then(() => listener('SIGTERM'))
      return () => {}
    },
    exit: refuse,
    kill: refuse,
  }
  const exitCode = await runCommandLine(args, io)
  return { exitCode, ...written }
}

/** Runs a command that must succeed; returns its stdout. */
export async function showAll(args: readonly string[], world: World): Promise<string> {
  const { exitCode, stdout, stderr } = await show(args, world)
  assert.equal(exitCode, 0, stderr)
  assert.equal(stderr, '')
  return stdout
}
