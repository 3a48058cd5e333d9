/**
 * Takes the picture of the live panel that the documentation shows: a real run of two pipelines, on a real terminal,
 * against the embedded broker.
 *
 *   npm run record:panel
 *
 * What the terminal got is kept beside the picture, so that the picture can be rendered again from it: a test does.
 *
 * @module
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EmbeddedBroker } from 'stream-ingest/testing'
import { PANEL_RECORDING, PANEL_SIZE, type Recording, renderRecording } from './terminal/recording.ts'
import { findPython, Terminal } from './terminal/terminal.ts'

const ENTRY = fileURLToPath(new URL('../packages/stream-ingest/bin/stream-ingest.js', import.meta.url))
const PARTITIONS = 3
/** Long enough for ages and rates to mean something. */
const COMMITS_SHOWN = 5
const FEED_EVERY_MS = 50

const CONFIG = `
kafka: { bootstrap_servers: "BROKER", consumer_group: lake }
local: { path: ./lake }
processing: { on_bad_record: skip }
pipelines:
  orders:
    kafka: { topic: orders }
    delta:
      table_name: orders
      schema:
        - { name: id, data_type: int64, nullable: false }
        - { name: amount, data_type: "decimal(10,2)" }
    processing: { batch_timeout_ms: 3000 }
  clicks:
    kafka: { topic: clicks }
    delta:
      table_name: clicks
      schema:
        - { name: id, data_type: int64, nullable: false }
        - { name: page, data_type: utf8 }
    processing: { batch_size: 60000 }
`

async function main(): Promise<number> {
  const python = findPython(process.env)
  if (python === null) {
    process.stderr.write('error: Python is needed for a pseudo-terminal\n')
    return 1
  }
  const folder = mkdtempSync(join(tmpdir(), 'record-panel-'))
  const broker = await EmbeddedBroker.start({
    topics: ['orders', 'clicks'].map(name => ({ name, partitions: PARTITIONS })),
  })
  const feeding = setInterval(() => feed(broker), FEED_EVERY_MS)
  try {
    writeFileSync(join(folder, 'stream-ingest.yaml'), CONFIG.replace('BROKER', broker.bootstrapServers))
    const text = await record(python, folder)
    const recording: Recording = { ...PANEL_SIZE, text }
    writeFileSync(PANEL_RECORDING.recording, `${JSON.stringify(recording)}\n`)
    writeFileSync(PANEL_RECORDING.picture, renderRecording(recording))
    return 0
  } finally {
    clearInterval(feeding)
    await broker.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What was printed up to a moment at which there is something to see. */
async function record(python: string, folder: string): Promise<string> {
  const terminal = new Terminal(python, [process.execPath, ENTRY, 'run'], { ...PANEL_SIZE, cwd: folder })
  try {
    await terminal.until('some commits, and messages on their way', ({ text, lines }) => {
      const commits = text.split('\n').filter(line => /\+[\d,]+ rows/.test(line)).length
      return (
        commits >= COMMITS_SHOWN &&
        lines.some(line => /^orders +[1-9].* [1-9] s ago/.test(line)) &&
        lines.some(line => /^clicks +[1-9].* [1-9] s ago/.test(line))
      )
    })
    const text = terminal.output.replaceAll(folder, '/data')
    terminal.type('\x03')
    await terminal.ended
    return text
  } finally {
    await terminal.close()
  }
}

let sequence = 0

/** A few hundred orders and some thousand clicks a second; one order is not like the others. */
function feed(broker: EmbeddedBroker): void {
  const encode = (value: unknown): { value: Uint8Array; timestampMs: number } => ({
    value: new TextEncoder().encode(JSON.stringify(value)),
    timestampMs: Date.now(),
  })
  const partition = sequence % PARTITIONS
  const orders = Array.from({ length: 20 }, (_, i) =>
    encode({ id: sequence * 20 + i, amount: sequence === 60 && i === 7 ? 'n/a' : '12.50' }),
  )
  const clicks = Array.from({ length: 700 }, (_, i) => encode({ id: sequence * 700 + i, page: `/p/${i}` }))
  broker.produce('orders', partition, orders)
  broker.produce('clicks', partition, clicks)
  sequence++
}

process.exitCode = await main()
