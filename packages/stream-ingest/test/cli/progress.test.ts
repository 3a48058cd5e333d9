import assert from 'node:assert/strict'
import { describe, suite, test } from 'node:test'
import { Screen } from '../../../../scripts/terminal/screen.ts'
import type { OutputStream } from '../../src/cli/command-io.ts'
import {
  createProgress,
  LINE_EVERY_MS,
  PAINT_AFTER_MS,
  PAINT_EVERY_MS,
  type Progress,
} from '../../src/cli/progress.ts'
import { commandIo } from './command-harness.ts'

interface Watched {
  readonly progress: Progress
  readonly screen: Screen
  /** What was written, in pieces. */
  readonly written: string[]
  wait(ms: number): void
}

function watch(
  stream: Partial<OutputStream>,
  options: { quiet?: boolean; env?: Record<string, string> } = {},
): Watched {
  const written: string[] = []
  const screen = new Screen(stream.columns ?? 80, 10)
  let nowMs = 0
  const io = commandIo({
    env: options.env ?? {},
    monotonicMs: () => nowMs,
    stderr: {
      ...stream,
      write: text => {
        written.push(text)
        screen.write(text.replaceAll('\n', '\r\n'))
      },
    },
  })
  return {
    progress: createProgress(io, options.quiet === true),
    screen,
    written,
    wait: ms => {
      nowMs += ms
    },
  }
}

suite('progress', () => {
  describe('on a terminal', () => {
    test('is a bar that is painted over, and gone at the end', () => {
      const { progress, screen, wait } = watch({ isTTY: true })
      wait(PAINT_AFTER_MS)
      progress.update('3 of 12 files', { done: 3, total: 12 })
      assert.equal(screen.lines[0], '▕█████               ▏  25 %  3 of 12 files')
      wait(PAINT_EVERY_MS)
      progress.update('7 of 12 files', { done: 7, total: 12 })
      assert.equal(screen.lines[0], '▕███████████▋        ▏  58 %  7 of 12 files')
      progress.end()
      assert.equal(screen.text.trim(), '')
      assert.deepEqual(screen.changedModes, [])
    })

    test('is text where nobody knows how much there is to do', () => {
      const { progress, screen, wait } = watch({ isTTY: true })
      for (const unknown of [null, undefined, { done: 0, total: 0 }]) {
        wait(PAINT_AFTER_MS)
        progress.update('1,200 objects', unknown)
        assert.equal(screen.lines[0], '1,200 objects')
      }
    })

    test('is not seen at all where the work is done soon', () => {
      const { progress, written, wait } = watch({ isTTY: true })
      progress.update('1 of 2')
      wait(PAINT_AFTER_MS - 1)
      progress.update('2 of 2')
      progress.end()
      assert.deepEqual(written, [])
    })

    test('is painted a few times a second, however often it is told', () => {
      const { progress, written, wait } = watch({ isTTY: true })
      wait(PAINT_AFTER_MS)
      for (let ms = 0; ms < 1_000; ms++) {
        progress.update(`${ms}`)
        wait(1)
      }
      assert.equal(written.length, 1_000 / PAINT_EVERY_MS)
    })

    test('never takes more than one line', () => {
      const { progress, screen, wait } = watch({ isTTY: true, columns: 30 })
      wait(PAINT_AFTER_MS)
      progress.update('x'.repeat(100), { done: 1, total: 2 })
      assert.equal(screen.lines[1], '')
      assert.ok(screen.lines[0]!.endsWith('x…'))
    })

    test('is never more than all', () => {
      const { progress, screen, wait } = watch({ isTTY: true })
      wait(PAINT_AFTER_MS)
      progress.update('13 of 12', { done: 13, total: 12 })
      assert.match(screen.lines[0]!, /^▕█{20}▏ 100 %/)
    })
  })

  for (const [what, stream, env] of [
    ['elsewhere', {}, {}],
    ['on a terminal that only knows lines', { isTTY: true }, { TERM: 'dumb' }],
  ] as const) {
    test(`${what} is a line every few seconds`, () => {
      const { progress, written, wait } = watch(stream, { env })
      for (let second = 0; second <= 12; second++) {
        progress.update(`${second} of 100 files`, { done: second, total: 100 })
        wait(1_000)
      }
      progress.end()
      assert.equal(LINE_EVERY_MS, 5_000)
      assert.deepEqual(written, ['5 %  5 of 100 files\n', '10 %  10 of 100 files\n'])
    })
  }

  test('is nothing where the result is for a program', () => {
    const { progress, written, wait } = watch({ isTTY: true }, { quiet: true })
    wait(60_000)
    progress.update('1 of 2')
    progress.end()
    assert.deepEqual(written, [])
  })
})
