import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { PIPELINES_SHOWN_MAX, panelLines } from '../../../src/cli/panel/panel-layout.ts'
import type { PanelRow } from '../../../src/cli/panel/panel-state.ts'
import { textWidth } from '../../../src/cli/text-table.ts'

function row(name: string, changes: Partial<PanelRow> = {}): PanelRow {
  return {
    name,
    phase: 'running',
    againInMs: null,
    messagesPerSecond: 1_021,
    bufferedMessageCount: 18_123,
    bufferedSizeBytes: 2_200_000,
    oldestMs: 12_900,
    lag: 3_412n,
    commit: { version: 1483, ageMs: 48_000 },
    badCount: 0,
    retryCount: 0,
    retryReason: null,
    ...changes,
  }
}

const ORDERS = row('orders', { badCount: 1 })
const CLICKS = row('clicks', {
  messagesPerSecond: 22_410,
  bufferedMessageCount: 90_000,
  bufferedSizeBytes: 11_534_336,
  lag: 0n,
  oldestMs: 4_000,
  commit: { version: 9021, ageMs: 27_000 },
  retryCount: 2,
  retryReason: 'conflict',
})
const SIZE = { columns: 120, lines: 23 }

function plain(
  rows: readonly PanelRow[],
  size: { columns?: number; lines?: number } = {},
  isStopping = false,
): string[] {
  return panelLines({ rows, isStopping }, { ...SIZE, ...size }, false)
}

suite('the panel', () => {
  test('has a line for each pipeline, and says what Ctrl-C does', () => {
    assert.deepEqual(plain([ORDERS, CLICKS]), [
      '',
      'pipeline       in/s  buffered               lag  oldest  last commit      bad  retries',
      'orders        1,021  18 k / 2.1 MiB       3,412    12 s  v1483  48 s ago    1  0',
      'clicks         22 k  90 k / 11.0 MiB          0     4 s  v9021  27 s ago    0  2 (conflict)',
      '^C drain and stop · again to stop now (uncommitted rows are re-read, nothing is lost)',
    ])
  })

  test('says that it stops', () => {
    const footer = plain([ORDERS], {}, true).at(-1)
    assert.equal(footer, 'stopping: committing what is buffered; Ctrl-C again to exit at once')
  })

  test('shows what is not known yet, and what a pipeline waits for', () => {
    const nothing = {
      messagesPerSecond: null,
      bufferedMessageCount: 0,
      bufferedSizeBytes: 0,
      oldestMs: null,
      lag: null,
      commit: null,
    }
    const lines = plain([
      row('new', { ...nothing, phase: 'starting' }),
      row('empty', { ...nothing, lag: 0n, commit: { version: 7, ageMs: null } }),
      row('away', {
        ...nothing,
        phase: 'waiting',
        againInMs: 2_100,
        retryCount: 1,
        retryReason: 'STORE_THROTTLED',
      }),
      row('gone', { ...nothing, phase: 'failed' }),
    ])
    assert.deepEqual(lines.slice(2, -1), [
      'new        starting  0                        ?       –  –                  0  0',
      'empty             –  0                        0       –  v7                 0  0',
      'away         in 3 s  0                        ?       –  –                  0  1 (STORE_THROTTLED)',
      'gone         failed  0                        ?       –  –                  0  0',
    ])
  })

  test('leaves out the least important columns where the terminal is narrow, and never wraps', () => {
    const headers = (columns: number): string => plain([ORDERS, CLICKS], { columns })[1]!
    assert.match(headers(80), /^pipeline +in\/s +lag +last commit +bad +retries$/)
    assert.match(headers(50), /^pipeline +in\/s +lag +last commit$/)
    assert.match(headers(20), /^pipeline +lag$/)
    const rows = [ORDERS, row('a-pipeline-of-a-very-long-name-that-nobody-would-type-twice')]
    for (let columns = 1; columns <= 130; columns++) {
      for (const line of plain(rows, { columns }))
        assert.ok(textWidth(line) <= columns, `${columns}: ${line}`)
    }
  })

  test('cuts a long name before it gives up a number', () => {
    const [, , line] = plain([row('n'.repeat(200))], { columns: 100 })
    assert.match(line!, /^n+… +1,021 +18 k \/ 2.1 MiB/)
  })

  test('takes no more lines than there are, whatever their number', () => {
    const rows = Array.from({ length: 40 }, (_, i) => row(`p${i}`))
    for (let lines = 1; lines <= 60; lines++) {
      const count = plain(rows, { lines }).length
      assert.ok(count >= 1 && count <= lines, `${count} of ${lines}`)
    }
  })

  test('sums up the pipelines for which there is no room', () => {
    const rows = Array.from({ length: 100 }, (_, i) => row(`p${i}`, { lag: 10n, badCount: i === 99 ? 3 : 0 }))
    const lines = plain(rows, { lines: 60 })
    assert.equal(lines.length, PIPELINES_SHOWN_MAX + 3)
    assert.match(lines[2]!, /^p0 /)
    assert.equal(lines.at(-2), '… 81 more   lag 810   bad 3')
  })

  test('shows those in trouble first where not all fit, in their order', () => {
    const rows = Array.from({ length: 50 }, (_, i) =>
      row(`p${i}`, i === 30 ? { phase: 'waiting', againInMs: 0 } : i === 49 ? { phase: 'failed' } : {}),
    )
    const names = plain(rows, { lines: 8 })
      .slice(2, -2)
      .map(line => line.split(' ')[0])
    assert.deepEqual(names, ['p0', 'p1', 'p30', 'p49'])
  })

  test('lets no name steer the terminal', () => {
    assert.match(plain([row('a\x1b[2Jb\nc')])[2]!, /^a\ufffd\[2Jb/)
  })

  test('has colours where they are wanted, that take no room', () => {
    const lines = panelLines({ rows: [ORDERS], isStopping: false }, SIZE, true)
    assert.equal(lines.length, 4)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: SGR begins with one
    assert.match(lines[2]!, /\x1b\[33m {2}1\x1b\[0m/)
    assert.ok(!plain([ORDERS]).join('').includes('\x1b'))
  })
})
