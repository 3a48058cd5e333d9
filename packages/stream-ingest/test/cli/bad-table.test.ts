/** Tables that are there and cannot be written: another schema, features, a damaged log; or that are not there. */
import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { assertFailure, type ExpectedFailure, range, run, sound, Workplace } from './command-harness.ts'

interface Setting {
  readonly broker: EmbeddedBroker
  readonly workplace: Workplace
}

/** The table is at version 2 and holds offsets 0 to 4 and 5 to 6; 7 to 9 wait in Kafka. */
async function open(t: TestContext): Promise<Setting> {
  const broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
  t.after(() => broker.close())
  const workplace = await Workplace.open(t, broker.bootstrapServers)
  broker.produce('events', 0, sound(0, 5))
  await workplace.ingestAll()
  broker.produce('events', 0, sound(5, 7))
  await workplace.ingestAll()
  broker.produce('events', 0, sound(7, 10))
  return { broker, workplace }
}

const commitName = (version: number): string => `${String(version).padStart(20, '0')}.json`
const pathOf = (workplace: Workplace, version: number): string =>
  join(workplace.tablePath, '_delta_log', commitName(version))

/** As another writer does, who writes no checksum. */
async function commit(workplace: Workplace, version: number, ...actions: object[]): Promise<void> {
  const lines = [{ commitInfo: { operation: 'TEST' } }, ...actions]
  await writeFile(pathOf(workplace, version), lines.map(line => `${JSON.stringify(line)}\n`).join(''))
}

async function dropChecksums(workplace: Workplace): Promise<void> {
  const folder = join(workplace.tablePath, '_delta_log')
  for (const name of await readdir(folder)) if (name.endsWith('.crc')) await rm(join(folder, name))
}

/** The run fails before it reads anything, twice, and the log is as it was. */
async function assertRefused(
  { broker, workplace }: Setting,
  expected: ExpectedFailure,
  parts = {},
): Promise<void> {
  const folder = join(workplace.tablePath, '_delta_log')
  const before = await readdir(folder)
  const fetches = broker.requestCount('Fetch')
  for (let start = 0; start < 2; start++) {
    const outcome = await workplace.ingest(parts)
    const error = assertFailure(outcome, { kind: 'delta', retryable: false, ...expected })
    assert.equal(error.context.table, `file://${workplace.tablePath}`)
    assert.match(outcome.stderr, new RegExp(`pipeline events · table file://${workplace.tablePath}`))
  }
  assert.deepEqual(await readdir(folder), before)
  assert.equal(broker.requestCount('Fetch'), fetches)
}

describe('a table with a feature that is not known', () => {
  const unsupported = {
    exitCode: 65,
    code: 'DELTA_PROTOCOL_UNSUPPORTED',
    hint: /use an engine that implements the named feature/,
  }
  for (const [name, protocol, message] of [
    [
      'for writers',
      { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['appendOnly', 'fancyIndex'] },
      /^the table needs the writer feature `fancyIndex`, which cannot be written here$/,
    ],
    [
      'for readers',
      {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ['fancyIndex', 'otherIndex'],
        writerFeatures: ['fancyIndex', 'otherIndex'],
      },
      /^the table needs the reader features `fancyIndex`, `otherIndex`, which cannot be read here$/,
    ],
    [
      'of a version to come',
      { minReaderVersion: 4, minWriterVersion: 8 },
      /reader version 4; versions 1 to 3 are known$/,
    ],
    [
      'of a writer version to come',
      { minReaderVersion: 1, minWriterVersion: 8 },
      /writer version 8; versions 1 to 7 are known$/,
    ],
  ] as const) {
    test(`${name} is refused by its name, before anything is read`, async t => {
      const setting = await open(t)
      await commit(setting.workplace, 3, { protocol })
      await assertRefused(setting, { ...unsupported, message })
      await rm(pathOf(setting.workplace, 3))
      await setting.workplace.ingestAll()
      assert.deepEqual(await setting.workplace.offsets(), range(0, 10))
    })
  }
})

describe('a table of another schema', () => {
  const mismatch = {
    exitCode: 78,
    code: 'TABLE_SCHEMA_MISMATCH',
    hint: /make `delta\.schema` fit the table, or name another table/,
  }
  const id = { name: 'id', data_type: 'int64', nullable: false }
  const name = { name: 'name', data_type: 'utf8' }

  test('is refused with each difference by name', async t => {
    const setting = await open(t)
    const schema = [
      { name: 'id', data_type: 'float32', nullable: false },
      { name: 'Name', data_type: 'utf8' },
      { name: 'extra', data_type: 'list<int32>' },
    ]
    await assertRefused(
      setting,
      {
        ...mismatch,
        message:
          /^file:\S+ does not fit: column `id` is `long` in the table and `float` in the configuration; column `Name` is called `name` in the table; the table has no column `extra`$/,
      },
      { delta: { schema } },
    )
    await setting.workplace.ingestAll()
    assert.deepEqual(await setting.workplace.offsets(), range(0, 10))
  })

  const cases: Readonly<Record<string, readonly [delta: object, message: RegExp]>> = {
    'other partitioning': [
      { partition_columns: ['name'] },
      /: the table is partitioned by nothing, the configuration says `name`$/,
    ],
    'a column that may be null here and not there': [
      { schema: [{ ...id, nullable: true }, name] },
      /: column `id` may not be null in the table but may be in the configuration$/,
    ],
    'a column that must be filled and is not': [
      { schema: [name] },
      /: the table’s column `id` may not be null and the configuration does not fill it$/,
    ],
    'metadata columns that the table does not have': [
      { metadata_columns: ['topic', 'partition', 'offset', 'timestamp', 'key'] },
      /: the table has no column `_kafka_key`$/,
    ],
  }
  for (const [what, [delta, message]] of Object.entries(cases)) {
    test(what, async t => {
      const setting = await open(t)
      await assertRefused(setting, { ...mismatch, message }, { delta })
      await setting.workplace.ingestAll()
      assert.deepEqual(await setting.workplace.offsets(), range(0, 10))
    })
  }
})

describe('a table that is there or is not', () => {
  test('is not created where the configuration says so', async t => {
    const { workplace } = await open(t)
    assertFailure(await workplace.ingest({ delta: { table_name: 'evnets', create_table: false } }), {
      exitCode: 66,
      kind: 'delta',
      code: 'DELTA_TABLE_NOT_FOUND',
      message: /^there is no Delta table at file:\S+\/evnets, and `delta\.create_table` is false$/,
      hint: /create the table, correct `delta\.table_name`, or remove `delta\.create_table: false`/,
    })
    await workplace.ingestAll({ delta: { create_table: false } })
    assert.deepEqual(await workplace.offsets(), range(0, 10))
  })

  test('cannot be created without a schema', async t => {
    const { workplace } = await open(t)
    const outcome = await workplace.ingest({ delta: { table_name: 'other', schema: undefined } })
    assertFailure(outcome, {
      exitCode: 78,
      kind: 'config',
      code: 'CONFIG_INVALID',
      message: /declares no `delta\.schema`, and the table `other` does not exist/,
      hint: /declare `delta\.schema`, set `delta\.merge_schema: true`, or create the table first/,
    })
  })
})

describe('a log that is damaged', () => {
  test('a commit that was cut is named with its line', async t => {
    const setting = await open(t)
    const path = pathOf(setting.workplace, 2)
    const whole = await readFile(path)
    await writeFile(path, whole.subarray(0, whole.length - 30))
    await dropChecksums(setting.workplace)
    await assertRefused(setting, {
      exitCode: 65,
      code: 'DELTA_LOG_CORRUPT',
      message: /^line \d+ of the log file `_delta_log\/0{19}2\.json` is not JSON$/,
      hint: /restore the named log file from a backup or a bucket version/,
    })
    await writeFile(path, whole)
    await setting.workplace.ingestAll()
    assert.deepEqual(await setting.workplace.offsets(), range(0, 10))
  })

  test('a commit of other bytes is named', async t => {
    const setting = await open(t)
    const path = pathOf(setting.workplace, 2)
    const whole = await readFile(path)
    await writeFile(path, Buffer.from([0, 0xff, 0x0a, 0x80, 0x0a]))
    await dropChecksums(setting.workplace)
    await assertRefused(setting, {
      exitCode: 65,
      code: 'DELTA_LOG_CORRUPT',
      message: /_delta_log\/0{19}2\.json/,
      hint: /restore the named log file/,
    })
    await writeFile(path, whole)
    await setting.workplace.ingestAll()
    assert.deepEqual(await setting.workplace.offsets(), range(0, 10))
  })

  test('an empty commit is named', async t => {
    const setting = await open(t)
    await dropChecksums(setting.workplace)
    await writeFile(pathOf(setting.workplace, 0), '')
    await assertRefused(setting, {
      exitCode: 65,
      code: 'DELTA_LOG_CORRUPT',
      message: /protocol|metaData|_delta_log/,
      hint: /./,
    })
  })

  test('a commit that is missing is named', async t => {
    const setting = await open(t)
    const path = pathOf(setting.workplace, 1)
    const whole = await readFile(path)
    await rm(path)
    await dropChecksums(setting.workplace)
    await assertRefused(setting, {
      exitCode: 65,
      code: 'DELTA_LOG_GAP',
      message: /^the log of file:\S+ has a gap: version 1 is missing \(`_delta_log\/0{19}1\.json`\)$/,
      hint: /restore it/,
    })
    await writeFile(path, whole)
    await setting.workplace.ingestAll()
    assert.deepEqual(await setting.workplace.offsets(), range(0, 10))
  })
})

describe('looking at what is no table', () => {
  for (const verb of [['read'], ['inspect', 'table']]) {
    const command = verb.join(' ')
    const notFound = { exitCode: 66, kind: 'delta', code: 'DELTA_TABLE_NOT_FOUND' } as const

    test(`${command}: a folder without a log, and one that does not exist`, async t => {
      const { workplace } = await open(t)
      for (const path of ['.', './nowhere', './lake']) {
        const outcome = await run([...verb, path, '--json'], { cwd: workplace.folder })
        assertFailure(outcome, {
          ...notFound,
          message: /^there is no Delta table at `file:\S+`$/,
          hint: /check the path; a Delta table has a `_delta_log` folder/,
        })
      }
    })

    test(`${command}: a file`, async t => {
      const { workplace } = await open(t)
      await writeFile(join(workplace.folder, 'table'), 'no')
      const outcome = await run([...verb, './table', '--json'], { cwd: workplace.folder })
      assert.notEqual(outcome.exitCode, 70, outcome.stderr)
      assert.notEqual(outcome.exitCode, 0)
    })

    for (const [uri, message] of [
      ['ftp://host/table', /the location `ftp:\/\/host\/table` has the unknown scheme `ftp`/],
      ['s3:/lake/table', /has no `\/\/` after `s3:`/],
      ['s3a://lake/table', /has the scheme `s3a` of Hadoop/],
      ['', /is empty/],
    ] as const) {
      test(`${command}: \`${uri}\``, async () => {
        assertFailure(await run([...verb, uri, '--json']), {
          exitCode: 64,
          kind: 's3',
          code: 'STORE_URI_INVALID',
          message,
          hint: /write `?(a path|s3)/,
        })
      })
    }

    test(`${command}: a version that is not there`, async t => {
      const { workplace } = await open(t)
      const outcome = await run([...verb, './lake/events', '--version', '77', '--json'], {
        cwd: workplace.folder,
      })
      assertFailure(outcome, {
        exitCode: 66,
        kind: 'delta',
        code: 'DELTA_VERSION_NOT_FOUND',
        message: /77/,
        hint: /version/,
      })
    })

    test(`${command}: a table with a feature that is not known, and one with a gap`, async t => {
      const { workplace } = await open(t)
      const protocol = {
        minReaderVersion: 3,
        minWriterVersion: 7,
        readerFeatures: ['fancy'],
        writerFeatures: ['fancy'],
      }
      await commit(workplace, 3, { protocol })
      const look = () => run([...verb, './lake/events', '--json'], { cwd: workplace.folder })
      assertFailure(await look(), {
        exitCode: 65,
        code: 'DELTA_PROTOCOL_UNSUPPORTED',
        message: /`fancy`/,
        hint: /engine/,
      })
      await rm(pathOf(workplace, 3))
      await rm(pathOf(workplace, 1))
      await dropChecksums(workplace)
      assertFailure(await look(), {
        exitCode: 65,
        code: 'DELTA_LOG_GAP',
        message: /version 1 is missing/,
        hint: /restore/,
      })
    })
  }

  test('read: a data file that is gone, and one that is damaged, are named', async t => {
    const { workplace } = await open(t)
    const [name] = (await readdir(workplace.tablePath)).filter(each => each.endsWith('.parquet'))
    const path = join(workplace.tablePath, name!)
    const whole = await readFile(path)
    const look = () => run(['read', './lake/events', '--json'], { cwd: workplace.folder })
    const expected = {
      exitCode: 65,
      kind: 'delta',
      code: 'DELTA_DATA_CORRUPT',
      message: new RegExp(name!),
      hint: /restore/,
    }
    for (const damage of [
      null,
      whole.subarray(0, 20),
      whole.subarray(0, whole.length - 5),
      Buffer.alloc(whole.length),
    ]) {
      if (damage === null) await rm(path)
      else await writeFile(path, damage)
      assertFailure(await look(), expected)
    }
  })
})
