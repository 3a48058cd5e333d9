import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { Screen } from '../../../../../scripts/terminal/screen.ts'
import { LivePanel } from '../../../src/cli/panel/live-panel.ts'
import type { PanelSize } from '../../../src/cli/panel/panel-layout.ts'

/** A terminal that is looked at after each write, as somebody might who kills the process at any moment. */
class WatchedTerminal {
  readonly isTTY = true
  readonly screen: Screen
  writeCount = 0

  constructor(columns: number, rows: number) {
    this.screen = new Screen(columns, rows)
  }

  get columns(): number {
    return this.screen.columns
  }

  get rows(): number {
    return this.screen.rows
  }

  write(text: string): boolean {
    this.writeCount++
    this.screen.write(text.replaceAll('\n', '\r\n'))
    const { column, isVisible } = this.screen.cursor
    assert.deepEqual([column, isVisible], [0, true], 'the cursor is to be seen, at the start of a line')
    assert.deepEqual(this.screen.changedModes, [], 'the modes are the terminal’s own')
    return true
  }

  /** Up to the last line that is not empty. */
  get shown(): string[] {
    const { lines } = this.screen
    return lines.slice(0, lines.findLastIndex(line => line !== '') + 1)
  }
}

function open(
  columns = 40,
  rows = 10,
): { terminal: WatchedTerminal; panel: LivePanel; show: { lines: string[] } } {
  const terminal = new WatchedTerminal(columns, rows)
  const show = { lines: ['one', 'two'] }
  const panel = new LivePanel(terminal, () => show.lines)
  return { terminal, panel, show }
}

suite('a live panel', () => {
  test('is painted over in place', () => {
    const { terminal, panel, show } = open()
    panel.paint()
    show.lines = ['three', 'four', 'five']
    panel.paint()
    assert.deepEqual(terminal.shown, ['three', 'four', 'five'])
    show.lines = ['six']
    panel.paint()
    assert.deepEqual(terminal.shown, ['six'])
  })

  test('writes nothing where nothing has changed', () => {
    const { terminal, panel } = open()
    panel.paint()
    panel.paint()
    assert.equal(terminal.writeCount, 1)
  })

  test('stays below the lines that come', () => {
    const { terminal, panel } = open()
    panel.write('before\n')
    panel.paint()
    panel.write('a\n')
    panel.write('b\nc\n')
    assert.deepEqual(terminal.shown, ['before', 'a', 'b', 'c', 'one', 'two'])
  })

  test('keeps every line when the screen scrolls, and leaves nothing of itself among them', () => {
    const { terminal, panel, show } = open(40, 6)
    const lines = Array.from({ length: 50 }, (_, i) => `line ${i}`)
    for (const [i, line] of lines.entries()) {
      panel.write(`${line}\n`)
      show.lines = [`count ${i}`]
      panel.paint()
    }
    assert.deepEqual([...terminal.screen.scrollback, ...terminal.shown], [...lines, 'count 49'])
  })

  test('takes with it what is typed', () => {
    const { terminal, panel, show } = open()
    panel.paint()
    // The terminal's own echo, behind the cursor.
    terminal.screen.write('^C')
    show.lines = ['stopping']
    panel.paint()
    assert.deepEqual(terminal.shown, ['stopping'])
  })

  test('is gone at its end, and what comes then is written as it is', () => {
    const { terminal, panel } = open()
    panel.write('a\n')
    panel.paint()
    panel.end()
    panel.end()
    panel.write('b\n')
    panel.paint()
    assert.deepEqual(terminal.shown, ['a', 'b'])
  })

  test('writes nothing at its end where it was never seen', () => {
    const { terminal, panel } = open()
    panel.end()
    assert.equal(terminal.writeCount, 0)
  })

  test('survives a terminal that becomes narrower and wraps what stands on it', () => {
    const { terminal, panel, show } = open(40, 10)
    panel.write('a line of the log\n')
    show.lines = ['x'.repeat(38), 'y'.repeat(38)]
    panel.paint()
    terminal.screen.resize(20, 10)
    show.lines = ['x'.repeat(18), 'y'.repeat(18)]
    panel.paint()
    assert.deepEqual(terminal.shown, ['a line of the log', 'x'.repeat(18), 'y'.repeat(18)])
    terminal.screen.resize(60, 10)
    show.lines = ['wide again']
    panel.paint()
    assert.deepEqual(terminal.shown, ['a line of the log', 'wide again'])
  })

  test('knows the size at each painting, and leaves a line for the cursor', () => {
    const sizes: PanelSize[] = []
    const terminal = { isTTY: true, columns: 0, rows: 0, write: () => true }
    const panel = new LivePanel(terminal, size => {
      sizes.push(size)
      return []
    })
    panel.paint()
    Object.assign(terminal, { columns: 120, rows: 50 })
    panel.paint()
    Object.assign(terminal, { rows: 1 })
    panel.paint()
    assert.deepEqual(sizes, [
      { columns: 80, lines: 23 },
      { columns: 120, lines: 49 },
      { columns: 120, lines: 1 },
    ])
  })

  test('lets nothing that it is given steer the terminal', () => {
    const { terminal, panel } = open()
    panel.write('a\x1b[2J\x9b1Ab\tc\r\n')
    assert.deepEqual(terminal.shown, ['a\ufffd[2J\ufffd1Abc\ufffd'])
  })
})
