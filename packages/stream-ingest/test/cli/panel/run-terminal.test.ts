/**
 * `run` on a real terminal: what a person sees while it runs, and what is left of it when it ends, however it ends.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Screen } from '../../../../../scripts/terminal/screen.ts'
import {
  findPython,
  Terminal,
  type TerminalEnd,
  type TerminalOptions,
} from '../../../../../scripts/terminal/terminal.ts'
import { EmbeddedBroker } from '../../../src/testing/embedded-broker.ts'

const python = findPython(process.env)
const skip = python === null ? 'there is no Python for a pseudo-terminal' : false

const ENTRY = fileURLToPath(new URL('../../../bin/stream-ingest.js', import.meta.url))
/** Kafka's key of OffsetCommit. */
const OFFSET_COMMIT = 8
const CTRL_C = '\x03'

interface Scene {
  readonly broker: EmbeddedBroker
  readonly folder: string
  /** Records of consecutive ids; a text is put in as it is. */
  produce(topic: string, values: readonly (number | string)[]): void
  /** `run` of the configuration in the folder. */
  run(flags?: readonly string[], options?: TerminalOptions): Terminal
}

async function openScene(t: TestContext, topics: readonly string[] = ['orders']): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'run-terminal-'))
  const broker = await EmbeddedBroker.start({ topics: topics.map(name => ({ name })) })
  t.after(async () => {
    await broker.close()
    await rm(folder, { recursive: true, force: true })
  })
  const delta = (topic: string): object => ({
    table_name: topic,
    schema: [{ name: 'id', data_type: 'int64', nullable: false }],
  })
  const config = {
    kafka: { bootstrap_servers: broker.bootstrapServers, consumer_group: 'lake' },
    local: { path: './lake' },
    // The first ten messages are a commit; what comes after them waits for the end.
    processing: { batch_size: 10, batch_timeout_ms: 600_000 },
    pipelines: Object.fromEntries(topics.map(topic => [topic, { kafka: { topic }, delta: delta(topic) }])),
  }
  await writeFile(join(folder, 'stream-ingest.yaml'), JSON.stringify(config))
  return {
    broker,
    folder,
    produce(topic, values) {
      const records = values.map(value => ({
        value: new TextEncoder().encode(typeof value === 'number' ? `{"id":${value}}` : value),
        timestampMs: 0,
      }))
      broker.produce(topic, 0, records)
    },
    run(flags = [], options = {}) {
      const terminal = new Terminal(python!, [process.execPath, ENTRY, 'run', ...flags], {
        cwd: folder,
        ...options,
      })
      t.after(() => terminal.close())
      return terminal
    },
  }
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

/** The table of the panel, if it is on the screen. */
function isPanelShown({ lines }: Screen): boolean {
  return lines.some(line => /^pipeline +/.test(line))
}

/** The line of a pipeline in the panel. */
function panelLine({ lines }: Screen, name: string): string {
  const header = lines.findLastIndex(line => /^pipeline +/.test(line))
  return lines.slice(header + 1).find(line => line.startsWith(name)) ?? ''
}

/** Twelve messages are read, ten of them are in the table. */
const TWO_BUFFERED = /^orders .* 2 \/ .* 2 .* v1 +\d+ s ago/

/** The screen as a shell finds it: no panel, the cursor to be seen at the start of a line, no mode changed. */
async function assertLeftClean(terminal: Terminal): Promise<TerminalEnd> {
  const end = await terminal.ended
  const { screen } = terminal
  assert.deepEqual(screen.changedModes, [])
  assert.deepEqual([screen.cursor.column, screen.cursor.isVisible], [0, true], screen.text)
  assert.equal(end.modesRestored, true)
  return end
}

suite('run on a terminal', { skip, concurrency: 4 }, () => {
  test('shows a line for each pipeline, and the commits above', async t => {
    const scene = await openScene(t, ['orders', 'clicks'])
    scene.produce('orders', range(0, 12))
    const terminal = scene.run()
    await terminal.until('two buffered orders', screen => TWO_BUFFERED.test(panelLine(screen, 'orders')))
    assert.match(terminal.screen.text, /orders {2}v1 {2}\+10 rows {2}1 file {2}.* p\[0\] {2}flush: rows/)
    await terminal.until('clicks without any', screen =>
      /^clicks +0 +0 +0 +– +v0 /.test(panelLine(screen, 'clicks')),
    )
    const { lines, cursor } = terminal.screen
    assert.ok(
      lines.findIndex(line => /\+10 rows/.test(line)) < lines.findIndex(line => /^pipeline/.test(line)),
    )
    assert.match(lines[cursor.row - 1]!, /^\^C drain and stop/)
    terminal.type(CTRL_C)
    await assertLeftClean(terminal)
  })

  for (const [what, stop, exitCode] of [
    ['Ctrl-C', (terminal: Terminal) => terminal.type(CTRL_C), 130],
    ['SIGTERM', (terminal: Terminal) => terminal.signal('SIGTERM'), 0],
  ] as const) {
    test(`${what} commits what is buffered, takes the panel away and ends with ${exitCode}`, async t => {
      const scene = await openScene(t)
      scene.produce('orders', range(0, 12))
      const terminal = scene.run()
      await terminal.until('two buffered orders', screen => TWO_BUFFERED.test(panelLine(screen, 'orders')))
      stop(terminal)
      const end = await assertLeftClean(terminal)
      assert.deepEqual([end.code, end.signal], [exitCode, null])
      assert.ok(!isPanelShown(terminal.screen), terminal.screen.text)
      assert.match(terminal.screen.text, /stopping: committing what is buffered/)
      assert.match(
        terminal.screen.text,
        /orders {2}12 rows in 2 commits, stopped cleanly at v2; uncommitted 0/,
      )
      assert.match(terminal.screen.lines.join('\n'), /12 rows {3}2 files .*\norders → .*lake\/orders v2/)
    })
  }

  test('a second Ctrl-C exits at once, with 130', async t => {
    const scene = await openScene(t)
    scene.produce('orders', range(0, 9))
    const terminal = scene.run()
    await terminal.until('nine buffered orders', screen =>
      /^orders .* 9 \/ /.test(panelLine(screen, 'orders')),
    )
    // The drain cannot end: Kafka does not take the group's offsets.
    scene.broker.failNext(OFFSET_COMMIT, 'hang')
    terminal.type(CTRL_C)
    await terminal.until('that it stops', ({ lines }) =>
      lines.some(line => line.startsWith('stopping: committing what is buffered; Ctrl-C again')),
    )
    terminal.type(CTRL_C)
    const end = await assertLeftClean(terminal)
    assert.deepEqual([end.code, end.signal], [130, null])
    assert.ok(!isPanelShown(terminal.screen), terminal.screen.text)
    assert.match(terminal.screen.lines.join('\n'), /^stopped at once: /m)
  })

  test('a failure takes the panel away, and says what, where and what to do', async t => {
    const scene = await openScene(t)
    scene.produce('orders', [0, 1, '{"id":"one"}'])
    const terminal = scene.run()
    const end = await assertLeftClean(terminal)
    assert.equal(end.code, 65)
    const text = terminal.screen.lines.join('\n')
    assert.match(text, /^error\[RECORD_INVALID\]: /m)
    assert.match(text, /= note: a restart resumes at orders\[0\]@2/)
    assert.match(text, /= help: /)
    assert.ok(!isPanelShown(terminal.screen), text)
  })

  test('a bug of the program leaves the terminal as it was', async t => {
    const scene = await openScene(t)
    scene.produce('orders', range(0, 12))
    const bug = join(scene.folder, 'bug.mjs')
    await writeFile(bug, `process.once('SIGUSR2', () => { throw new Error('a bug') })`)
    const terminal = scene.run([], { env: { NODE_OPTIONS: `--import=${bug}` } })
    await terminal.until('two buffered orders', screen => TWO_BUFFERED.test(panelLine(screen, 'orders')))
    terminal.signal('SIGUSR2')
    const end = await assertLeftClean(terminal)
    assert.equal(end.code, 1)
    assert.match(terminal.screen.text, /Error: a bug/)
  })

  test('killed without a word, it leaves the cursor where the prompt belongs', async t => {
    const scene = await openScene(t)
    const terminal = scene.run()
    await terminal.until('the panel', isPanelShown)
    terminal.signal('SIGKILL')
    assert.equal((await assertLeftClean(terminal)).signal, 'SIGKILL')
  })

  test('fits the terminal at each of its sizes', async t => {
    const topics = range(0, 9).map(i => `topic-${i}`)
    const scene = await openScene(t, topics)
    const terminal = scene.run([], { columns: 110, rows: 30 })
    await terminal.until('nine pipelines', screen => topics.every(topic => panelLine(screen, topic) !== ''))
    terminal.resize(40, 10)
    await terminal.until('few columns and few lines', ({ lines }) => {
      const header = lines.findIndex(line => /^pipeline +lag +last commit$/.test(line))
      return header >= 0 && lines.slice(header).some(line => /^… 4 more {3}lag/.test(line))
    })
    terminal.resize(110, 30)
    await terminal.until('all of it again', screen =>
      screen.lines.some(line => /^pipeline +in\/s +buffered +lag +oldest/.test(line)),
    )
    assert.equal(terminal.screen.lines.filter(line => /^pipeline/.test(line)).length, 1, terminal.screen.text)
    terminal.type(CTRL_C)
    await assertLeftClean(terminal)
  })

  test('NO_COLOR and --no-color leave the colours out, and the panel in', async t => {
    const scene = await openScene(t)
    const runs = [scene.run([], { env: { NO_COLOR: '1' } }), scene.run(['--no-color']), scene.run()]
    const coloured = await Promise.all(
      runs.map(async terminal => {
        await terminal.until('the panel', isPanelShown)
        terminal.type(CTRL_C)
        await assertLeftClean(terminal)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: SGR begins with one
        return /\x1b\[\d+m/.test(terminal.output)
      }),
    )
    assert.deepEqual(coloured, [false, false, true])
  })

  for (const [what, flags, env, line] of [
    ['a terminal that only knows lines gets lines', [], { TERM: 'dumb' }, /^\d\d:\d\d:\d\d {2}orders {2}v1 /],
    ['a build’s log gets lines', [], { CI: 'true' }, /^\d\d:\d\d:\d\d {2}orders {2}v1 /],
    ['--log json gives JSON lines', ['--log', 'json'], {}, /^\{"level":"info".*"event":"commit".*\}$/],
  ] as const) {
    test(what, async t => {
      const scene = await openScene(t)
      scene.produce('orders', range(0, 10))
      const terminal = scene.run(flags, { columns: 1_000, env })
      await terminal.until('the commit', ({ lines }) => lines.some(shown => line.test(shown)))
      terminal.type(CTRL_C)
      await assertLeftClean(terminal)
      assert.ok(!terminal.output.includes('\x1b'), JSON.stringify(terminal.output))
    })
  }

  test('--quiet shows nothing at all', async t => {
    const scene = await openScene(t)
    scene.produce('orders', range(0, 10))
    const terminal = scene.run(['--quiet', '--until-latest'])
    assert.equal((await assertLeftClean(terminal)).code, 0)
    assert.equal(terminal.output, '')
  })
})
