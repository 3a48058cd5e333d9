import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { decimal, field, formatSchemaString, parseJson, primitive, struct } from '@stream-ingest/delta'
import { showAll, temporaryFolder, writeTable } from './table-fixture.ts'

const SCHEMA = struct([
  field('id', primitive('long'), false),
  field('name', primitive('string')),
  field('price', decimal(20, 2)),
  field('at', primitive('timestamp')),
  field('s', struct([field('ok', primitive('boolean')), field('x', primitive('double'))])),
  field('day', primitive('date')),
])
const TOPIC_ID = 'ef9948c9-5d73-414b-b3e2-dc98ed06e71c'
/** What each version is committed at, by the clock of the machine, lies before this. */
const LATER_MS = 4_000_000_000_000

function row(id: bigint, name: string | null): Record<string, unknown> {
  return { id, name, price: id, at: (id % 100n) * 1_000_000n, s: { ok: true, x: 0 } }
}

/** Three versions, one file each but two in the last; offsets of two partitions of one topic, and of another program. */
async function events(folder: string): Promise<string> {
  const path = join(folder, 'events')
  const topics = JSON.stringify({ [TOPIC_ID]: 'orders' })
  await writeTable(path, {
    schema: SCHEMA,
    partitionColumns: ['day'],
    properties: { 'delta.checkpointInterval': '2' },
    commits: [
      {
        files: [
          { rows: [row(-7n, 'b'), row(9007199254740993n, null)], partitionValues: { day: '2026-11-22' } },
        ],
        txns: [
          { appId: `lake:${TOPIC_ID}:10`, version: 12_345n, lastUpdated: 1_795_341_600_000 },
          { appId: `lake:${TOPIC_ID}:9`, version: 9_223_372_036_854_775_807n },
          { appId: 'other', version: 1n },
        ],
        operationParameters: { topics },
      },
      { files: [{ rows: [row(1n, 'a')], partitionValues: { day: '2026-11-23' } }] },
      {
        files: [
          { rows: [row(2n, 'c')], partitionValues: { day: '2026-11-23' } },
          { rows: [row(3n, null)], partitionValues: { day: null } },
        ],
      },
    ],
  })
  return path
}

describe('inspect table', () => {
  test('shows version, files, checkpoint, columns from statistics, and offsets by topic name', async t => {
    const cwd = await temporaryFolder(t)
    await events(cwd)
    const text = await showAll(['inspect', 'table', 'events'], { cwd, nowMs: LATER_MS })
    const [uri, head, files, partitioning, ...rest] = text.split('\n')
    assert.equal(uri, `file://${cwd}/events`)
    assert.match(
      head!,
      /^Delta table {3}version 3 {3}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(\d.* ago\) {3}protocol 1\/2$/,
    )
    assert.match(files!, /^rows 5 {3}files 4 \(mean .*B, p50 .*B, min .*B\) {3}size .*B$/)
    assert.equal(
      partitioning,
      'partitioned by day (3 values)   checkpoint 2 (1 commit behind)   tombstones 0',
    )
    assert.deepEqual(rest, [
      '',
      'column  type           nulls  min                          max',
      'id      long           0 %    -7                           9007199254740993',
      'name    string         40 %   a                            c',
      'price   decimal(20,2)  0 %    -0.07                        90071992547409.93',
      'at      timestamp      0 %    1969-12-31T23:59:53.000000Z  1970-01-01T00:01:33.000000Z',
      's.ok    boolean        0 %    –                            –',
      's.x     double         0 %    0                            0',
      'day     date           20 %   2026-11-22                   2026-11-23',
      '',
      'written by (txn)                 next offset  last updated',
      'lake / orders[9]   9,223,372,036,854,775,807  –',
      'lake / orders[10]                     12,345  2026-11-22 10:00:00 UTC',
      'other                                      1  –',
      '',
    ])
  })

  test('prints its document with --json', async t => {
    const cwd = await temporaryFolder(t)
    await events(cwd)
    const document = parseJson(await showAll(['inspect', 'table', 'events', '--json'], { cwd })) as Record<
      string,
      unknown
    >
    const { timestamp, sizeBytes, txns, ...rest } = document
    assert(typeof timestamp === 'number' && timestamp > 1_700_000_000_000)
    assert(typeof sizeBytes === 'number' && sizeBytes > 0)
    assert.deepEqual(rest, {
      uri: `file://${cwd}/events`,
      version: 3,
      protocol: { minReaderVersion: 1, minWriterVersion: 2, readerFeatures: [], writerFeatures: [] },
      rows: 5,
      files: 4,
      partitionColumns: ['day'],
      schema: JSON.parse(formatSchemaString(SCHEMA)),
      properties: { 'delta.checkpointInterval': '2' },
      checkpointVersion: 2,
    })
    assert.deepEqual(
      new Set(txns as unknown[]),
      new Set([
        { appId: `lake:${TOPIC_ID}:10`, version: 12_345, lastUpdated: 1_795_341_600_000 },
        { appId: `lake:${TOPIC_ID}:9`, version: 9_223_372_036_854_775_807n, lastUpdated: null },
        { appId: 'other', version: 1, lastUpdated: null },
      ]),
    )
  })

  test('shows an earlier version, and a table without files and offsets', async t => {
    const cwd = await temporaryFolder(t)
    await events(cwd)
    const first = parseJson(
      await showAll(['inspect', 'table', 'events', '--version', '1', '--json'], { cwd }),
    )
    assert.equal((first as { rows: number }).rows, 2)
    const text = await showAll(['inspect', 'table', 'events', '--version', '0'], { cwd })
    assert.match(text, /rows 0 {3}files 0 {3}size 0 B\n/)
    assert.match(text, /no checkpoint/)
    assert.match(text, /id {6}long {11}– {6}– +–\n/)
    assert.doesNotMatch(text, /written by/)
  })
})
