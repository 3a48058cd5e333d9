import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { runToSuccess } from '../stack/installation.ts'
import { ReaderProcess } from '../stack/reader-process.ts'
import { isFailure, readTable, TableReaders, type TableReading } from '../stack/readers.ts'
import { StackError } from '../stack/stack-error.ts'

const PYTHON = process.env.SI_TEST_PYTHON
const KERNEL_READER = process.env.SI_TEST_KERNEL_READER
const ENDPOINT = process.env.SI_TEST_S3_ENDPOINT
const skip = PYTHON === undefined ? 'SI_TEST_PYTHON is not set: no readers to test' : false
const skipKernel =
  KERNEL_READER === undefined ? 'SI_TEST_KERNEL_READER is not set: no reader on Delta Kernel' : false
const skipS3 =
  skip || (ENDPOINT === undefined ? 'SI_TEST_S3_ENDPOINT is not set: no S3 server to test with' : false)

/** A table by a writer that is not ours: int64 at its limits, decimals beyond double, nulls, two appends. */
const WRITE_TABLE = `
import json, sys, decimal, pyarrow as pa
from deltalake import write_deltalake, CommitProperties, Transaction
uri, options = json.load(sys.stdin)
D = decimal.Decimal
rows = pa.table({
  "id": pa.array([2**63 - 1, 2**63 - 1, None], pa.int64()),
  "price": pa.array([D("99999999999999999999999999999999.99"), D("-0.01"), None], pa.decimal128(34, 2)),
  "at": pa.array([1, 1700000000123456, None], pa.timestamp("us", "UTC")),
  "name": ["é", "z", None],
  "tags": [["a", None], [], None],
})
write_deltalake(uri, rows, storage_options=options)
write_deltalake(uri, rows, mode="append", storage_options=options,
                commit_properties=CommitProperties(app_transactions=[Transaction("app", 42)]))
`
const ROWS = [
  '{"at":T1,"id":9223372036854775807,"name":"é","price":99999999999999999999999999999999.99,"tags":["a",null]}',
  '{"at":T1700000000123456,"id":9223372036854775807,"name":"z","price":-0.01,"tags":[]}',
  '{"at":null,"id":null,"name":null,"price":null,"tags":null}',
]

test('every reader tells exact figures, application transactions and the same content', {
  skip: skip || skipKernel,
}, async t => {
  const uri = join(temporaryFolder(t), 'table')
  await runToSuccess(PYTHON as string, ['-c', WRITE_TABLE], { input: JSON.stringify([uri, null]) })
  const readers = new TableReaders({ python: PYTHON as string, kernel: KERNEL_READER as string })
  t.after(() => readers.close())
  const readings = await readers.read({
    uri,
    appIds: ['app', 'other'],
    contentHash: true,
    checkStatistics: true,
  })
  assert.deepEqual(
    readings.map(reading => reading.engine),
    ['delta-rs', 'duckdb', 'kernel-java'],
  )
  for (const reading of readings) {
    assert(!isFailure(reading), JSON.stringify(reading))
    assert.equal(reading.rowCount, 6)
    assert.deepEqual(reading.txns, { app: 42, other: null })
    const { id, price, at, name, 'tags.element': tag } = reading.columns
    assert.deepEqual([id?.count, id?.nulls, id?.sum], [4, 2, '36893488147419103228'])
    assert.deepEqual(
      [price?.max, price?.sum],
      ['99999999999999999999999999999999.99', '199999999999999999999999999999999.96'],
    )
    assert.deepEqual([at?.min, at?.max], ['1', '1700000000123456'])
    assert.deepEqual([name?.min, name?.max, name?.sum], ['z', 'é', '6'])
    assert.deepEqual([tag?.count, tag?.nulls], [2, 2])
    assert.equal(reading.contentHash, hashOf([...ROWS, ...ROWS]))
  }
  const [deltaRs, duckdb, kernel] = readings as readonly TableReading[]
  assert.deepEqual(kernel?.columns, deltaRs?.columns)
  assert.deepEqual(duckdb?.statisticsProblems, [])
  assert.equal(duckdb?.statisticsFileCount, 2)
})

test('an older version is read as it was', { skip }, async t => {
  const uri = join(temporaryFolder(t), 'table')
  await runToSuccess(PYTHON as string, ['-c', WRITE_TABLE], { input: JSON.stringify([uri, null]) })
  const readings = await readTable({ python: PYTHON as string, uri, version: 0 })
  assert.deepEqual(
    readings.map(reading => reading.rowCount),
    [3, 3],
  )
})

test('both readers read a table on the S3 server', { skip: skipS3 }, async () => {
  const s3 = {
    endpoint: ENDPOINT as string,
    accessKey: process.env.SI_TEST_S3_ACCESS_KEY as string,
    secretKey: process.env.SI_TEST_S3_SECRET_KEY as string,
  }
  const uri = `s3://${process.env.SI_TEST_S3_BUCKET}/readers-test-${process.pid}/table`
  const options = {
    AWS_ENDPOINT_URL: s3.endpoint,
    AWS_ACCESS_KEY_ID: s3.accessKey,
    AWS_SECRET_ACCESS_KEY: s3.secretKey,
    AWS_REGION: 'us-east-1',
    AWS_ALLOW_HTTP: 'true',
  }
  await runToSuccess(PYTHON as string, ['-c', WRITE_TABLE], { input: JSON.stringify([uri, options]) })
  const readings = await readTable({ python: PYTHON as string, uri, s3, appIds: ['app'] })
  for (const reading of readings) {
    assert.equal(reading.rowCount, 6)
    assert.deepEqual(reading.txns, { app: 42 })
  }
})

test('a table that no engine can read is an error with the words of each', { skip }, async t => {
  await assert.rejects(
    readTable({ python: PYTHON as string, uri: join(temporaryFolder(t), 'nothing') }),
    (error: Error) =>
      error instanceof StackError && /delta-rs: /.test(error.message) && /duckdb: /.test(error.message),
  )
})

function hashOf(rows: readonly string[]): string {
  let sum = 0n
  for (const row of rows) sum += BigInt(`0x${createHash('sha256').update(row).digest('hex').slice(0, 32)}`)
  return (sum % (1n << 128n)).toString(16).padStart(32, '0')
}

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'stream-ingest-readers-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('a reader that ends or hangs is an answer, and the next table is read by another one', async () => {
  const program = `
    process.stdin.on('data', line => {
      const { exit, hang } = JSON.parse(line)
      if (exit) { console.error('out of memory'); process.exit(1) }
      if (!hang) console.log(JSON.stringify({ pid: process.pid }))
    })`
  const reader = new ReaderProcess({ command: process.execPath, args: ['--eval', program] })
  const { pid: first } = await reader.ask({}, 60_000)
  assert.deepEqual(await reader.ask({}, 60_000), { pid: first })
  assert.deepEqual(await reader.ask({ exit: true }, 60_000), { error: 'the reader ended: out of memory' })
  const { pid: second } = await reader.ask({}, 60_000)
  assert.notEqual(second, first)
  assert.deepEqual(await reader.ask({ hang: true }, 1), { error: 'no answer within 0.001 s' })
  assert.notEqual((await reader.ask({}, 60_000)).pid, second)
  await reader.close()
})

test('a reader that cannot be started is an answer', async () => {
  const reader = new ReaderProcess({ command: 'no-such-program', args: [] })
  assert.match(String((await reader.ask({}, 60_000)).error), /^the reader ended: .*ENOENT/)
})
