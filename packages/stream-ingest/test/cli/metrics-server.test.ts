import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { CONNECTIONS_MAX, parseListenAddress, startMetricsServer } from '../../src/cli/metrics-server.ts'
import { KafkaError } from '../../src/error.ts'
import { publish } from '../../src/observe/event.ts'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { publishCommitted, publishProgress, publishStarted } from '../observe/event-fixture.ts'
import { assertFailure, type Outcome, run, sound, Workplace } from './command-harness.ts'

interface Scene {
  readonly url: (path: string) => string
  /** The value of a series, as a scrape shows it; null where it is not there. */
  value(series: string): Promise<number | null>
  /** Moves both clocks. */
  advance(ms: number): void
}

interface SceneOptions {
  readonly pipelines?: readonly string[]
  readonly partitions?: boolean
}

const NOW_MS = 1_000_000
const STUCK_AFTER_MS = 60_000

async function openServer(
  t: TestContext,
  { pipelines = ['orders'], partitions = true }: SceneOptions = {},
): Promise<Scene> {
  let elapsedMs = 0
  const server = await startMetricsServer(
    {
      pipelines: pipelines.map(name => ({ name, stuckAfterMs: STUCK_AFTER_MS })),
      address: { host: '127.0.0.1', port: 0 },
      partitions,
    },
    { now: () => NOW_MS + elapsedMs, monotonicMs: () => elapsedMs },
  )
  t.after(() => server.close())
  const url = (path: string): string => `http://127.0.0.1:${server.address.port}${path}`
  return {
    url,
    async value(series) {
      const text = await (await fetch(url('/metrics'))).text()
      const line = text.split('\n').find(one => one.startsWith(`stream_ingest_${series} `))
      return line === undefined ? null : Number(line.slice(line.lastIndexOf(' ') + 1))
    },
    advance(ms) {
      elapsedMs += ms
    },
  }
}

function read(messageCount: number, fromOffset: bigint, endOffset: bigint): void {
  publish('batch:read', {
    pipeline: 'orders',
    topic: 't',
    partition: 0,
    messageCount,
    sizeBytes: 100,
    fromOffset,
    nextOffset: fromOffset + BigInt(messageCount),
    endOffset,
    waitMs: 0,
  })
}

function commit(nextOffset: bigint, newestRecordMs: number | null): void {
  publishCommitted({
    version: 7,
    durationMs: 300,
    newestRecordMs,
    ranges: [{ topic: 't', partition: 0, fromOffset: 0n, nextOffset }],
  })
}

describe('the server of metrics', () => {
  test('tells lag and freshness of the table, not of what is buffered', async t => {
    const { value } = await openServer(t)
    read(5, 0n, 10n)
    assert.equal(await value('lag_records{pipeline="orders",topic="t",partition="0"}'), 10)
    commit(4n, NOW_MS - 30_000)
    assert.equal(await value('lag_records{pipeline="orders",topic="t",partition="0"}'), 6)
    assert.equal(await value('freshness_seconds{pipeline="orders"}'), 30)
    commit(10n, NOW_MS - 20_000)
    assert.equal(await value('freshness_seconds{pipeline="orders"}'), 0)
    assert.equal(await value('commits_total{pipeline="orders",outcome="committed"}'), 2)
    assert.equal(await value('commit_duration_seconds_bucket{pipeline="orders",le="0.5"}'), 2)
    assert.equal(await value('table_version{pipeline="orders"}'), 7)
  })

  test('tells the freshness of a table that nothing was committed to since the start', async t => {
    const { value, advance } = await openServer(t)
    publish('table:opened', {
      pipeline: 'orders',
      version: 5,
      checkpointVersion: 3,
      fileCount: 12,
      newestRecordMs: NOW_MS - 40_000,
    })
    advance(5_000)
    assert.equal(await value('freshness_seconds{pipeline="orders"}'), 45)
    assert.equal(await value('checkpoint_version{pipeline="orders"}'), 3)
    assert.equal(await value('table_files{pipeline="orders"}'), 12)
  })

  test('counts what became of records once they are committed, not when they are met', async t => {
    const { value } = await openServer(t)
    const reject = (): void =>
      publish('record:rejected', {
        pipeline: 'orders',
        topic: 't',
        partition: 0,
        offset: 3n,
        code: 'RECORD_INVALID',
        path: '$.id',
        column: 'id',
        message: 'm',
        action: 'quarantine',
      })
    const rejected = 'records_rejected_total{pipeline="orders",reason="RECORD_INVALID"}'
    assert.equal(await value(rejected), 0, 'there from the start: an alert needs an increase')
    reject()
    publish('commit:conflicted', { pipeline: 'orders', winner: 3, reason: 'txn', detail: 'd' })
    reject()
    publishCommitted({
      counts: {
        messages: 10,
        rows: 7,
        badRecords: 1,
        badRecordsByCode: { RECORD_INVALID: 1 },
        quarantined: 1,
        skipped: 2,
        filtered: 4,
      },
    })
    assert.equal(await value(rejected), 1)
    assert.equal(await value('records_quarantined_total{pipeline="orders"}'), 1)
    assert.equal(await value('records_skipped_total{pipeline="orders",reason="null_value"}'), 2)
    assert.equal(await value('records_skipped_total{pipeline="orders",reason="aborted"}'), 4)
    assert.equal(await value('commits_total{pipeline="orders",outcome="conflict"}'), 1)
  })

  test('shows what is repeated, by the closed list of codes', async t => {
    const { value } = await openServer(t)
    const slow = Object.assign(new Error('Please reduce your request rate.'), {
      name: 'SlowDown',
      $fault: 'server',
      $metadata: { httpStatusCode: 503 },
    })
    publish('store:retried', { pipeline: 'orders', request: 'PutObject', error: slow })
    publish('kafka:retried', { pipeline: 'orders', error: new KafkaError('KAFKA_UNREACHABLE', 'x') })
    publish('commit:attempted', { pipeline: 'orders', version: 8, attempt: 1 })
    publish('commit:attempted', { pipeline: 'orders', version: 9, attempt: 2 })
    publish('commit:failed', { pipeline: 'orders', error: slow })
    publish('pipeline:retrying', { pipeline: 'orders', error: slow, attempt: 1, delayMs: 1 })
    assert.equal(await value('store_retries_total{pipeline="orders",code="STORE_THROTTLED"}'), 1)
    assert.equal(await value('kafka_retries_total{pipeline="orders",code="KAFKA_UNREACHABLE"}'), 1)
    assert.equal(await value('commit_retries_total{pipeline="orders"}'), 1)
    assert.equal(await value('commits_total{pipeline="orders",outcome="error"}'), 1)
    assert.equal(await value('errors_total{pipeline="orders",stage="sending",code="STORE_THROTTLED"}'), 1)
    assert.equal(await value('restarts_total{pipeline="orders"}'), 1)
  })

  test('tells what is buffered, and nothing of it once a pipeline has ended', async t => {
    const { value } = await openServer(t)
    publishProgress({ bufferedMessageCount: 20, bufferedSizeBytes: 4096 })
    assert.equal(await value('buffered_records{pipeline="orders"}'), 20)
    assert.equal(await value('buffered_bytes{pipeline="orders"}'), 4096)
    publish('pipeline:failed', { pipeline: 'orders', error: new KafkaError('KAFKA_TLS', 'x') })
    assert.equal(await value('buffered_bytes{pipeline="orders"}'), 0)
  })

  test('adds partitions up to topics where that is asked for', async t => {
    const { value } = await openServer(t, { partitions: false })
    const partitions = [0, 1].map(partition => ({ topic: 't', partition, nextOffset: 5n, endOffset: 9n }))
    publishProgress({ partitions })
    assert.equal(await value('lag_records{pipeline="orders",topic="t",partition=""}'), 8)
    assert.equal(await value('end_offset{pipeline="orders",topic="t",partition=""}'), 18)
  })

  test('counts the pipelines of the run, and no others in the process', async t => {
    const { url } = await openServer(t)
    publishCommitted({ pipeline: 'elsewhere' })
    assert.doesNotMatch(await (await fetch(url('/metrics'))).text(), /elsewhere/)
  })

  test('is ready while every pipeline is at work, and healthy while the process lives', async t => {
    const { url, value } = await openServer(t, { pipelines: ['a', 'b'] })
    const ready = async (): Promise<string> => {
      const response = await fetch(url('/readyz'))
      return `${response.status} ${await response.text()}`
    }
    assert.equal(await ready(), '503 a: has not started yet\nb: has not started yet\n')
    publishStarted({ pipeline: 'a' })
    assert.equal(await ready(), '503 b: has not started yet\n')
    publishStarted({ pipeline: 'b' })
    assert.equal(await ready(), '200 ready\n')
    const error = new KafkaError('KAFKA_UNREACHABLE', 'a secret place')
    publish('pipeline:retrying', { pipeline: 'a', error, attempt: 1, delayMs: 1 })
    assert.equal(await ready(), '503 a: starts over after KAFKA_UNREACHABLE\n')
    assert.equal(await value('pipeline_ready{pipeline="a"}'), 0)
    assert.equal(await value('pipeline_running{pipeline="b"}'), 1)
    assert.equal((await fetch(url('/healthz'))).status, 200)
  })

  test('is not ready where messages wait and the table does not move', async t => {
    const { url, value, advance } = await openServer(t)
    const ready = async (): Promise<number> => (await fetch(url('/readyz'))).status
    const behind = (nextOffset: bigint): void =>
      publishProgress({ partitions: [{ topic: 't', partition: 0, nextOffset, endOffset: 100n }] })
    publishStarted()
    advance(10 * STUCK_AFTER_MS)
    assert.equal(await ready(), 200, 'idle')
    behind(10n)
    advance(STUCK_AFTER_MS)
    assert.equal(await ready(), 200)
    behind(10n)
    advance(1)
    assert.equal(await ready(), 503)
    assert.equal(await value('pipeline_ready{pipeline="orders"}'), 0)
    // A replacement of the table commits at its end: its offsets move all the same.
    behind(20n)
    assert.equal(await ready(), 200, 'far behind, and at work')
    advance(STUCK_AFTER_MS)
    publishCommitted()
    advance(STUCK_AFTER_MS)
    assert.equal(await ready(), 200)
    advance(1)
    assert.equal(await ready(), 503)
  })

  test('answers nothing else', async t => {
    const { url } = await openServer(t)
    assert.equal((await fetch(url('/'))).status, 404)
    assert.equal((await fetch(url('/metrics'), { method: 'POST' })).status, 405)
    assert.equal((await fetch(url('/metrics'), { method: 'HEAD' })).status, 200)
    assert.match((await fetch(url('/metrics'))).headers.get('content-type') ?? '', /version=0\.0\.4/)
  })

  test('answers while others hold connections and say nothing, and keeps no more than it is allowed', async t => {
    const { url } = await openServer(t)
    const port = Number(new URL(url('/')).port)
    const silent: Socket[] = []
    t.after(() => {
      for (const socket of silent) socket.destroy()
    })
    const open = async (): Promise<Socket> => {
      const socket = connect(port, '127.0.0.1')
      silent.push(socket)
      await once(socket, 'connect')
      return socket
    }
    for (let i = 0; i < CONNECTIONS_MAX - 1; i++) await open()
    assert.equal((await fetch(url('/healthz'), { headers: { connection: 'close' } })).status, 200)
    await open()
    const refused = await open()
    await once(refused, 'close')
  })

  test('refuses headers beyond its bound', async t => {
    const { url } = await openServer(t)
    const response = await fetch(url('/healthz'), { headers: { 'x-long': 'x'.repeat(10_000) } })
    assert.equal(response.status, 431)
  })

  test('listens where it is told to: by default for this machine alone', () => {
    const addresses: [string, string | null, number][] = [
      ['9464', '127.0.0.1', 9464],
      [':9464', null, 9464],
      ['0.0.0.0:80', '0.0.0.0', 80],
      ['[::1]:9464', '::1', 9464],
      ['metrics.example:1', 'metrics.example', 1],
    ]
    for (const [text, host, port] of addresses) assert.deepEqual(parseListenAddress(text), { host, port })
    for (const text of ['', 'x', '70000', 'a:b:1', ':']) {
      assert.throws(() => parseListenAddress(text), { code: 'CONFIG_USAGE', hint: /:9464/ }, text)
    }
  })
})

describe('run --metrics', () => {
  test('serves the counts of the run while it runs', async t => {
    const broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
    t.after(() => broker.close())
    broker.produce('events', 0, [...sound(0, 5), { value: 'no JSON' }])
    const workplace = await Workplace.open(t, broker.bootstrapServers)
    const config = await workplace.configure({
      processing: { on_bad_record: 'skip', batch_timeout_ms: 50 },
    })
    // A port that was free a moment ago.
    const probe = createServer().listen(0, '127.0.0.1')
    await new Promise(resolve => probe.once('listening', resolve))
    const { port } = probe.address() as AddressInfo
    await new Promise(resolve => probe.close(resolve))
    const stop = Promise.withResolvers<void>()
    const running = run(['run', config, '--metrics', String(port), '--log', 'json'], {
      cwd: workplace.folder,
      stopAfter: stop.promise,
    })
    const text = await untilCommitted(port, running)
    for (const line of [
      'stream_ingest_rows_committed_total{pipeline="events"} 5',
      'stream_ingest_records_read_total{pipeline="events",topic="events"} 6',
      'stream_ingest_records_rejected_total{pipeline="events",reason="RECORD_NOT_JSON"} 1',
      'stream_ingest_lag_records{pipeline="events",topic="events",partition="0"} 0',
      'stream_ingest_freshness_seconds{pipeline="events"} 0',
      'stream_ingest_pipeline_running{pipeline="events"} 1',
      'stream_ingest_pipeline_ready{pipeline="events"} 1',
      'stream_ingest_next_offset{pipeline="events",topic="events",partition="0"} 6',
      'stream_ingest_table_files{pipeline="events"} 1',
      'stream_ingest_store_request_errors_total{pipeline="events",op="put"} 0',
    ]) {
      assert(text.includes(`${line}\n`), `${line}\n---\n${text}`)
    }
    stop.resolve()
    assert.equal((await running).exitCode, 0)
    await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`))
  })

  test('says that the port is taken', async t => {
    const taken = createServer().listen(0, '127.0.0.1')
    t.after(() => taken.close())
    await new Promise(resolve => taken.once('listening', resolve))
    const { port } = taken.address() as AddressInfo
    const workplace = await Workplace.open(t, '127.0.0.1:1')
    const config = await workplace.configure()
    const outcome = await run(['run', config, '--metrics', String(port), '--json'], {
      cwd: workplace.folder,
    })
    assertFailure(outcome, {
      exitCode: outcome.exitCode,
      code: 'IO_FAILED',
      message: /^cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
      hint: /another port/,
    })
  })
})

/** Scrapes until the one commit is in it; fails where the run ends before. */
async function untilCommitted(port: number, running: Promise<Outcome>): Promise<string> {
  const ended = running.then(({ stderr }) => assert.fail(`the run ended\n${stderr}`))
  const scrape = async (): Promise<string> => {
    for (;;) {
      const text = await fetch(`http://127.0.0.1:${port}/metrics`)
        .then(response => response.text())
        .catch(() => '')
      if (/outcome="committed"} [1-9]/.test(text)) return text
      await new Promise(setImmediate)
    }
  }
  return Promise.race([scrape(), ended])
}
