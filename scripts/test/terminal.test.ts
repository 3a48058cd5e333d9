import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { PANEL_RECORDING, type Recording, renderRecording } from '../terminal/recording.ts'
import { Screen } from '../terminal/screen.ts'
import { renderSvg } from '../terminal/screen-svg.ts'

function shown(screen: Screen): string[] {
  const { lines } = screen
  return lines.slice(0, lines.findLastIndex(line => line !== '') + 1)
}

suite('a screen', () => {
  test('wraps at its width, unless it is told not to', () => {
    const screen = new Screen(4, 5)
    screen.write('abcdef\r\n\x1b[?7labcdef\x1b[?7h')
    assert.deepEqual(shown(screen), ['abcd', 'ef', 'abcf'])
  })

  test('scrolls, and keeps what has gone', () => {
    const screen = new Screen(10, 2)
    screen.write('a\r\nb\r\nc')
    assert.deepEqual([screen.scrollback, screen.lines], [['a'], ['b', 'c']])
  })

  test('goes up and erases', () => {
    const screen = new Screen(10, 5)
    screen.write('one\r\ntwo\r\nthree\r\n\x1b[2A\x1b[JTWO')
    assert.deepEqual(shown(screen), ['one', 'TWO'])
    screen.write('\r\x1b[2K')
    assert.deepEqual(shown(screen), ['one'])
  })

  test('takes sequences in pieces', () => {
    const screen = new Screen(10, 2)
    for (const piece of ['a\x1b', '[', '3', '1mb\x1b[?2', '5l']) screen.write(piece)
    assert.deepEqual(shown(screen), ['ab'])
    assert.equal(screen.cellAt(0, 1).style.colour, 31)
    assert.equal(screen.cursor.isVisible, false)
    assert.deepEqual(screen.changedModes, [25])
  })

  test('wraps again what stands on it when it becomes narrower', () => {
    const screen = new Screen(6, 3)
    screen.write('abcdef\r\nxy\r\n')
    screen.resize(3, 4)
    assert.deepEqual([shown(screen), screen.cursor.row], [['abc', 'def', 'xy'], 3])
  })

  test('says so where a program sends what it does not know', () => {
    assert.throws(() => new Screen(10, 2).write('\x1b[5n'), /CSI 5n is not known/)
  })
})

suite('a picture of a screen', () => {
  test('has each run of a style at its place, and is XML whatever the text', () => {
    const screen = new Screen(20, 3)
    screen.write('a <b> & c\r\n  \x1b[33m  12\x1b[0m')
    const svg = renderSvg(screen, 'A & B')
    assert.match(svg, /<title>A &amp; B<\/title>/)
    assert.match(svg, /<tspan x="16" [^>]*>a &lt;b&gt; &amp; c<\/tspan>/)
    assert.match(svg, /<tspan x="49.6" textLength="16.8" [^>]* fill="#e3b341">12<\/tspan>/)
    assert.equal(svg.match(/<text /g)?.length, 2)
  })

  test('the one in the documentation is what the recorded terminal showed', () => {
    const recording = JSON.parse(readFileSync(PANEL_RECORDING.recording, 'utf8')) as Recording
    assert.equal(readFileSync(PANEL_RECORDING.picture, 'utf8'), renderRecording(recording))
    // A recording that shows nothing would be rendered as well.
    assert.match(recording.text, /orders.*\/ .*v\d+ {2}\d+ s ago/)
  })
})
