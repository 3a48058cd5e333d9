import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { assertFailure, documentOf, type Outcome, run } from './command-harness.ts'

const ORDERS = `kafka: { bootstrap_servers: "localhost:1", topic: orders, consumer_group: g }
local: { path: ./lake }
delta:
  table_name: orders
  schema:
    - { name: id, data_type: int64, nullable: false }
    - { name: amount, data_type: "decimal(10,2)" }
    - { name: note, data_type: utf8 }
    - { name: customer, data_type: "struct<name: utf8, tags: list<utf8>, limits: map<utf8, int64>>" }
`

const PASSING = `tests:
  - name: an order becomes one row
    input: { payload: { id: 9007199254740993, amount: 12.5 } }
    rows: [{ id: 9007199254740993, amount: 12.50 }]
`

const FAILING = `  - name: refunds keep the sign
    input: { payload: { id: 1, amount: 12.50 } }
    rows:
      - { id: 1, amount: -12.50 }
`

interface Folder {
  readonly cwd: string
  test(...args: string[]): Promise<Outcome>
  text(name?: string): Promise<string>
}

/** A folder with these files. */
async function folderWith(t: TestContext, files: Readonly<Record<string, string>>): Promise<Folder> {
  const cwd = await mkdtemp(join(tmpdir(), 'config-test-'))
  t.after(() => rm(cwd, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(cwd, name), text)
  return {
    cwd,
    test: (...args) => run(['test', ...args], { cwd }),
    text: (name = 'a.yaml') => readFile(join(cwd, name), 'utf8'),
  }
}

describe('test', () => {
  test('says what passes and, of what fails, where it stands and what differs alone', async t => {
    const { test, cwd } = await folderWith(t, { 'a.yaml': ORDERS + PASSING + FAILING })
    const { exitCode, stdout, stderr } = await test('a.yaml')
    assert.equal(
      stdout,
      `✓ an order becomes one row
x refunds keep the sign      a.yaml:14
    column  expected  actual
  - amount  -12.50    12.50
1 passed, 1 failed
`,
    )
    assert.deepEqual([exitCode, stderr], [1, ''])
    assert.deepEqual(await readdir(cwd), ['a.yaml'])
  })

  test('exits with 0 where all pass, of every file', async t => {
    const { test } = await folderWith(t, { 'a.yaml': ORDERS + PASSING, 'b.yaml': ORDERS + PASSING })
    const { exitCode, stdout } = await test('a.yaml', 'b.yaml')
    assert.deepEqual([exitCode, stdout.split('\n').at(-2)], [0, '2 passed, 0 failed'])
  })

  test('reads INGEST_CONFIG, else ./stream-ingest.yaml', async t => {
    const { cwd, test } = await folderWith(t, { 'stream-ingest.yaml': ORDERS + PASSING })
    assert.equal((await test()).exitCode, 0)
    const { stdout } = await run(['test'], { cwd, env: { INGEST_CONFIG: ORDERS + PASSING + FAILING } })
    assert.match(stdout, / INGEST_CONFIG:14\n/)
    const indented = await run(['test'], { cwd, env: { INGEST_CONFIG: `\n\n${ORDERS}${PASSING}${FAILING}` } })
    assert.match(indented.stdout, / INGEST_CONFIG:16\n/)
  })

  test('prints one document', async t => {
    const { test } = await folderWith(t, { 'a.yaml': ORDERS + PASSING + FAILING })
    const outcome = await test('a.yaml', '--json')
    const passed = {
      pipeline: 'orders',
      ok: true,
      updated: false,
      file: 'a.yaml',
      differences: [],
      error: null,
    }
    assert.deepEqual(documentOf(outcome), {
      ok: false,
      tests: [
        { ...passed, name: 'an order becomes one row', line: 11 },
        {
          ...passed,
          name: 'refunds keep the sign',
          ok: false,
          line: 14,
          differences: [{ row: 0, column: 'amount', expected: '-12.50', actual: '12.50', problem: null }],
        },
      ],
    })
    assert.equal(outcome.exitCode, 1)
  })

  test('shows whole rows, records that do not fit, tombstones, and values that are no such values', async t => {
    const tests = `tests:
  - name: a
    input: [{ payload: { id: 1 } }, { payload: { id: x } }, { payload: null }]
    rows: [{ id: 2, amount: x }, { id: 3 }]
`
    const { test } = await folderWith(t, { 'a.yaml': ORDERS + tests })
    const { stdout } = await test('a.yaml')
    assert.equal(
      stdout,
      `x a   a.yaml:11
  - rows[0].id
      expected: 2
      actual:   1
  - rows[0].amount
      expected: x
      actual:   null
  - rows[1]
      expected: {"id":3}
      actual:   (none)
  - bad
      expected: (none)
      actual:   RECORD_INVALID: id: expected int64, found the string "x"
  - skipped
      expected: 0
      actual:   1
    = rows[0].amount: expected decimal(10,2), found the string "x"
0 passed, 1 failed
`,
    )
    const { tests: shown } = documentOf(await test('a.yaml', '--json')) as {
      tests: [{ differences: unknown[] }]
    }
    assert.deepEqual(shown[0].differences.slice(2), [
      { row: 1, column: null, expected: { id: 3 }, actual: null, problem: null },
      {
        row: null,
        column: 'bad',
        expected: null,
        actual: 'RECORD_INVALID: id: expected int64, found the string "x"',
        problem: null,
      },
      { row: null, column: 'skipped', expected: 0, actual: 1, problem: null },
    ])
  })

  test('shows where long texts differ, and nothing that steers the terminal', async t => {
    const long = 'x'.repeat(5000)
    const tests = `tests:
  - { name: "a\\e[2J", input: { payload: { id: 1, note: "${long}\\e" } }, rows: [{ note: ${long}y }] }
  - { name: null and a text, input: { payload: { id: 1, note: "null" } }, rows: [{ note: null }] }
`
    const { stdout } = await (await folderWith(t, { 'a.yaml': ORDERS + tests })).test('a.yaml')
    assert.match(stdout, /expected: …x{100}y\n {6}actual: {3}…x{100}\\u001b\n/)
    assert.match(stdout, /^x a\\u001b\[2J /m)
    assert.match(stdout, / {2}- note {4}null {6}"null"\n/)
  })

  test('runs those with a text in their name, or of a pipeline', async t => {
    const pipelines = `kafka: { bootstrap_servers: "localhost:1", topic: orders, consumer_group: g }
local: { path: ./lake }
pipelines:
  orders: { delta: { table_name: orders, schema: [{ name: id, data_type: int64 }] } }
  clicks: { delta: { table_name: clicks, schema: [{ name: url, data_type: utf8 }] } }
tests:
  - { name: an order, pipeline: orders, input: { payload: { id: 1 } }, rows: [{ id: 1 }] }
  - { name: a click, pipeline: clicks, input: { payload: { url: x } }, rows: [{ url: y }] }
`
    const { test } = await folderWith(t, { 'a.yaml': pipelines })
    assert.equal((await test('a.yaml', '--filter', 'order')).stdout, '✓ an order\n1 passed, 0 failed\n')
    assert.equal(
      (await test('a.yaml', '--pipeline', 'clicks')).stdout.split('\n').at(-2),
      '0 passed, 1 failed',
    )
    const usage = { exitCode: 64, code: 'CONFIG_USAGE' }
    assertFailure(await test('a.yaml', '--filter', 'an ordr', '--json'), {
      ...usage,
      message: /^no test has in its name `an ordr`$/,
      hint: /^did you mean `an order`\?$/,
    })
    assertFailure(await test('a.yaml', '--pipeline', 'other', '--json'), {
      ...usage,
      message: /^no test is of the pipeline `other`$/,
      hint: /^there are: `orders`, `clicks`$/,
    })
  })

  test('says that there are no tests, and how to write one that passes', async t => {
    const { test } = await folderWith(t, { 'a.yaml': ORDERS })
    const { exitCode, stdout } = await test('a.yaml')
    assert.equal(exitCode, 0)
    assert.match(stdout, /^no tests in a\.yaml\n {2}= help: add some:\n/)
    const example = stdout.slice(stdout.indexOf('tests:'))
    const { test: again } = await folderWith(t, { 'a.yaml': ORDERS + example })
    assert.equal((await again('a.yaml')).stdout, '✓ a message becomes one row\n1 passed, 0 failed\n')
    const denied = await test('a.yaml', '--deny-empty', '--json')
    assert.deepEqual([denied.exitCode, documentOf(denied)], [1, { ok: false, tests: [] }])
  })

  test('says what is wrong with a configuration as validate does', async t => {
    const { test, cwd } = await folderWith(t, {
      'a.yaml': ORDERS + PASSING.replace('amount: 12.50', 'amout: 12.50'),
    })
    for (const flags of [[], ['--json']]) {
      const outcome = await test('a.yaml', ...flags)
      assert.deepEqual(outcome, await run(['validate', 'a.yaml', ...flags], { cwd }))
      assert.equal(outcome.exitCode, 78)
      assert.match(outcome.stdout, /there is no column `amout` in `orders`/)
    }
  })

  test('shows the error of a pipeline that cannot decode', async t => {
    const config = ORDERS.slice(0, ORDERS.indexOf('  schema:'))
    const tests =
      '  merge_schema: true\n  metadata_columns: false\ntests: [{ name: a, input: { payload: {} }, rows: [] }]\n'
    const { test } = await folderWith(t, { 'a.yaml': config + tests })
    const { exitCode, stdout } = await test('a.yaml')
    assert.equal(exitCode, 1)
    assert.match(
      stdout,
      /^x a {3}a\.yaml:7\n {4}error\[CONFIG_CONFLICT\]: .*\n {4}= help: .*\n0 passed, 1 failed\n$/,
    )
    const [shown] = (documentOf(await test('a.yaml', '--json')) as { tests: { error: { code: string } }[] })
      .tests
    assert.equal(shown!.error.code, 'CONFIG_CONFLICT')
  })
})

/** What is written, beside what stands there after an update. Each is the one test of a configuration, by its keys. */
const UPDATES: readonly (readonly [what: string, before: string, after: string])[] = [
  [
    'single values, comments and forms around them kept',
    `    input: { payload: { id: 1, amount: 12.50, note: "a: b" } } # in
    rows:  # one
      # of it
      - "id": 2    # two

        amount: -12.50
        note: 'x'   # note
`,
    `    input: { payload: { id: 1, amount: 12.50, note: "a: b" } } # in
    rows:  # one
      # of it
      - "id": 1    # two

        amount: 12.50
        note: "a: b"   # note
`,
  ],
  [
    'values inside of others, and others whole',
    `    input: { payload: { id: 1, customer: { name: Ann, tags: [a], limits: { "x y": 1 } } } }
    rows:
      - customer:
          name: Bo  # name
          tags:
            - a
            - b   # last
          # behind
          limits: { x: 1 }
`,
    `    input: { payload: { id: 1, customer: { name: Ann, tags: [a], limits: { "x y": 1 } } } }
    rows:
      - customer:
          name: "Ann"  # name
          tags:
            ["a"]   # last
          # behind
          limits: { "x y": 1 }
`,
  ],
  [
    'where nothing is written',
    `    input: { payload: { id: 1, note: x } }
    rows:
      - note:   # nothing
        id : 1
`,
    `    input: { payload: { id: 1, note: x } }
    rows:
      - note: "x"   # nothing
        id : 1
`,
  ],
  [
    'texts over several lines, and such as look like variables',
    `    input: { payload: { id: 1, note: "$\${HOME} costs $$$$5 \\u2028" } }
    rows:
      - note: |
          one
          two
        id: 1
`,
    `    input: { payload: { id: 1, note: "$\${HOME} costs $$$$5 \\u2028" } }
    rows:
      - note: "$\${HOME} costs $$$$5 \\u2028"
        id: 1
`,
  ],
  [
    'texts that end in a space that is no white space of YAML',
    `    input: { payload: { id: 1, note: y } }
    rows:
      - note: |-
          x\u00a0
        id: 1
`,
    `    input: { payload: { id: 1, note: y } }
    rows:
      - note: "y"
        id: 1
`,
  ],
  [
    'rows that are missing, with the columns of the last one',
    `    input: [{ payload: { id: 1 } }, { payload: { id: 2 } }, { payload: { id: 3 } }]
    rows:
      - id: 1
        note: null
      - id: 7  # seven
    # behind
`,
    `    input: [{ payload: { id: 1 } }, { payload: { id: 2 } }, { payload: { id: 3 } }]
    rows:
      - { id: 1, note: null }
      - { id: 2 }
      - { id: 3 }  # seven
    # behind
`,
  ],
  [
    'rows that are too many',
    `    input: { payload: { id: 1 } }
    rows: [{ id: 1 }, { id: 2 }] # two
`,
    `    input: { payload: { id: 1 } }
    rows: [{ id: 1 }] # two
`,
  ],
  [
    'rows where none were expected: all columns but those of Kafka',
    `    input: { payload: { id: 1, amount: 2 } }
    bad: { column: id }   # bad
`,
    `    input: { payload: { id: 1, amount: 2 } }
    rows:
      - { id: 1, amount: 2.00, note: null, customer: null }   # bad
`,
  ],
  [
    'what does not fit in place of rows',
    `    input: { payload: { id: x } }
    rows:
      - id: 1 # one
`,
    `    input: { payload: { id: x } }
    bad: { code: RECORD_INVALID, column: "id" } # one
`,
  ],
  [
    'what is wrong with a record',
    `    input: { payload: { id: x } }
    bad:
      code: RECORD_NOT_JSON # code
      message: int32
`,
    `    input: { payload: { id: x } }
    bad:
      code: "RECORD_INVALID" # code
      message: "expected int64, found the string \\"x\\""
`,
  ],
  [
    'several outcomes of which one was named',
    `    input: [{ payload: { id: 1 } }, { payload: { id: x } }, { payload: null }, { payload: null }]
    rows: [{ id: 1 }]   # rows

`,
    `    input: [{ payload: { id: 1 } }, { payload: { id: x } }, { payload: null }, { payload: null }]
    rows: [{ id: 1 }]   # rows
    bad: { code: RECORD_INVALID, column: "id" }
    skipped: 2

`,
  ],
  [
    'outcomes that were named and did not come',
    `    input: { payload: { id: 1 } }
    rows: [{ id: 1 }]
    skipped: true
    bad: {}
`,
    `    input: { payload: { id: 1 } }
    rows: [{ id: 1 }]
    skipped: false
    bad: []
`,
  ],
  [
    'an alias by what came',
    `    input: { payload: &order { id: 1, note: x } }
    rows: [{ note: &y y, id: 1 }]
`,
    `    input: { payload: &order { id: 1, note: x } }
    rows: [{ note: &y "x", id: 1 }]
`,
  ],
]

describe('test --update', () => {
  for (const [what, before, after] of UPDATES) {
    test(`writes ${what}`, async t => {
      const named = `tests:\n  - name: a # name\n`
      const rest = PASSING.slice(PASSING.indexOf('  - name'))
      for (const newline of ['\n', '\r\n']) {
        const text = (written: string): string => (ORDERS + named + written + rest).replaceAll('\n', newline)
        const folder = await folderWith(t, { 'a.yaml': text(before) })
        const { exitCode, stdout, stderr } = await folder.test('a.yaml', '--update')
        assert.deepEqual(
          [exitCode, stderr, stdout.split('\n').at(-2)],
          [0, '', '1 passed, 1 updated'],
          stdout,
        )
        assert.equal(await folder.text(), text(after))
        assert.equal((await folder.test('a.yaml')).stdout.split('\n').at(-2), '2 passed, 0 failed')
      }
    })
  }

  test('leaves a file that passes untouched, and those tests that are not chosen', async t => {
    const folder = await folderWith(t, { 'a.yaml': ORDERS + PASSING + FAILING })
    assert.equal((await folder.test('a.yaml', '--update', '--filter', 'an order')).exitCode, 0)
    assert.equal(await folder.text(), ORDERS + PASSING + FAILING)
    assert.equal((await folder.test('a.yaml', '--update', '--filter', 'refunds')).exitCode, 0)
    assert.equal(await folder.text(), ORDERS + PASSING + FAILING.replace('-12.50', '12.50'))
  })

  test('leaves a test that fails and is not chosen failing', async t => {
    const other = FAILING.replace('refunds', 'returns')
    const folder = await folderWith(t, { 'a.yaml': ORDERS + PASSING + FAILING + other })
    assert.equal((await folder.test('a.yaml', '--update', '--filter', 'refunds')).exitCode, 0)
    assert.equal(await folder.text(), ORDERS + PASSING + FAILING.replace('-12.50', '12.50') + other)
  })

  test('writes JSON into JSON', async t => {
    const config = {
      kafka: { bootstrap_servers: 'localhost:1', topic: 't', consumer_group: 'g' },
      local: { path: './lake' },
      delta: {
        table_name: 't',
        schema: [
          { name: 'id', data_type: 'int64' },
          { name: 'at', data_type: 'timestamp' },
        ],
      },
      tests: [
        { name: 'a', input: { payload: { id: 1, at: 0 } }, bad: {} },
        { name: 'b', input: [{ payload: { id: 1 } }, { payload: null }], rows: [{ id: 2 }] },
      ],
    }
    const folder = await folderWith(t, { 'a.json': JSON.stringify(config, null, 2) })
    assert.equal((await folder.test('a.json', '--update')).exitCode, 0)
    assert.deepEqual(JSON.parse(await folder.text('a.json')).tests, [
      {
        name: 'a',
        input: { payload: { id: 1, at: 0 } },
        rows: [{ id: 1, at: '1970-01-01T00:00:00.000000Z' }],
      },
      { name: 'b', input: [{ payload: { id: 1 } }, { payload: null }], rows: [{ id: 1 }], skipped: true },
    ])
  })

  test('keeps a byte order mark, the mode of the file, and a link to it', async t => {
    const folder = await folderWith(t, { 'a.yaml': `\ufeff${ORDERS}${PASSING}${FAILING}` })
    await chmod(join(folder.cwd, 'a.yaml'), 0o640)
    await symlink('a.yaml', join(folder.cwd, 'link.yaml'))
    assert.equal((await folder.test('link.yaml', '--update')).exitCode, 0)
    assert.equal(await folder.text(), `\ufeff${ORDERS}${PASSING}${FAILING.replace('-12.50', '12.50')}`)
    assert.equal((await stat(join(folder.cwd, 'a.yaml'))).mode & 0o777, 0o640)
    assert.deepEqual((await readdir(folder.cwd)).toSorted(), ['a.yaml', 'link.yaml'])
  })

  test('writes nothing where an alias stands for what came and for something else', async t => {
    for (const rows of [
      // Another test's expectation, and a payload.
      '[*row]\n  - { name: c, input: { payload: { id: 7 } }, rows: [&row2 { id: 7 }] }',
      '[*row]',
    ]) {
      const text = `${ORDERS}tests:
  - { name: a, input: { payload: &row { id: 1 } }, rows: [{ id: 1 }] }
  - name: b
    input: { payload: { id: 2 } }
    rows: ${rows}
`
      const folder = await folderWith(t, { 'a.yaml': text })
      const { exitCode, stderr, stdout } = await folder.test('a.yaml', '--update')
      assert.equal(exitCode, 1)
      assert.match(stdout, /x b /)
      assert.match(stderr, /^a\.yaml is left as it is: what came cannot be written in place/)
      assert.equal(await folder.text(), text)
    }
  })

  test('needs a file', async t => {
    const { cwd } = await folderWith(t, {})
    const env = { INGEST_CONFIG: ORDERS + PASSING + FAILING }
    assertFailure(await run(['test', '--update', '--json'], { cwd, env }), {
      exitCode: 64,
      code: 'CONFIG_USAGE',
      message: /^`INGEST_CONFIG` cannot be updated: it is no file$/,
      hint: /leave --update out/,
    })
  })
})
