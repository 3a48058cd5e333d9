import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { parseListenAddress, startMetricsServer } from '../../src/cli/metrics-server.ts'
import { publish } from '../../src/observe/event.ts'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { assertFailure, type Outcome, run, sound, Workplace } from './command-harness.ts'

interface Scene {
  readonly url: (path: string) => string
  /** The value of a series, as a scrape shows it; null where it is not there. */
  value(series: string): Promise<number | null>
}

async function openServer(t: TestContext, pipelines = ['events'], nowMs = 1_000_000): Promise<Scene> {
  const server = await startMetricsServer(pipelines, { host: '127.0.0.1', port: 0 }, () => nowMs)
  t.after(() => server.close())
  const url = (path: string): string => `http://127.0.0.1:${server.address.port}${path}`
  return {
    url,
    async value(series) {
      const text = await (await fetch(url('/metrics'))).text()
      const line = text.split('\n').find(one => one.startsWith(`${series} `))
      return line === undefined ? null : Number(line.slice(series.length + 1))
    },
  }
}

function read(messageCount: number, fromOffset: bigint, endOffset: bigint): void {
  publish('batch:read', {
    pipeline: 'events',
    topic: 't',
    partition: 0,
    messageCount,
    sizeBytes: 100,
    fromOffset,
    nextOffset: fromOffset + BigInt(messageCount),
    endOffset,
  })
}

function commit(nextOffset: bigint, newestRecordMs: number | null): void {
  publish('commit:committed', {
    pipeline: 'events',
    version: 7,
    rowCount: 3,
    fileCount: 1,
    sizeBytes: 50,
    reason: 'age',
    durationMs: 300,
    attemptCount: 1,
    newestRecordMs,
    ranges: [{ topic: 't', partition: 0, fromOffset: 0n, nextOffset }],
  })
}

describe('the server of metrics', () => {
  test('tells lag and freshness of the table, not of what is buffered', async t => {
    const { value } = await openServer(t)
    read(5, 0n, 10n)
    assert.equal(await value('stream_ingest_lag_records{pipeline="events",topic="t",partition="0"}'), 10)
    commit(4n, 1_000_000 - 30_000)
    assert.equal(await value('stream_ingest_lag_records{pipeline="events",topic="t",partition="0"}'), 6)
    assert.equal(await value('stream_ingest_freshness_seconds{pipeline="events"}'), 30)
    commit(10n, 1_000_000 - 20_000)
    assert.equal(await value('stream_ingest_freshness_seconds{pipeline="events"}'), 0)
    assert.equal(await value('stream_ingest_commits_total{pipeline="events",outcome="committed"}'), 2)
    assert.equal(await value('stream_ingest_commit_duration_seconds_bucket{pipeline="events",le="0.5"}'), 2)
    assert.equal(await value('stream_ingest_table_version{pipeline="events"}'), 7)
  })

  test('is ready while every pipeline runs, and healthy while the process lives', async t => {
    const { url } = await openServer(t, ['a', 'b'])
    const ready = async (): Promise<number> => (await fetch(url('/readyz'))).status
    const started = (pipeline: string): void =>
      publish('pipeline:started', { pipeline, table: 't', version: null, partitionCount: 1 })
    assert.equal(await ready(), 503)
    started('a')
    assert.equal(await ready(), 503)
    started('b')
    assert.equal(await ready(), 200)
    publish('pipeline:retrying', { pipeline: 'a', error: new Error('x'), attempt: 1, delayMs: 1 })
    assert.equal(await ready(), 503)
    assert.equal((await fetch(url('/healthz'))).status, 200)
  })

  test('answers nothing else', async t => {
    const { url } = await openServer(t)
    assert.equal((await fetch(url('/'))).status, 404)
    assert.equal((await fetch(url('/metrics'), { method: 'POST' })).status, 405)
    assert.equal((await fetch(url('/metrics'), { method: 'HEAD' })).status, 200)
    assert.match((await fetch(url('/metrics'))).headers.get('content-type') ?? '', /version=0\.0\.4/)
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
      'stream_ingest_records_rejected_total{pipeline="events",code="RECORD_NOT_JSON"} 1',
      'stream_ingest_lag_records{pipeline="events",topic="events",partition="0"} 0',
      'stream_ingest_freshness_seconds{pipeline="events"} 0',
      'stream_ingest_pipeline_running{pipeline="events"} 1',
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
      if (text.includes('outcome="committed"')) return text
      await new Promise(setImmediate)
    }
  }
  return Promise.race([scrape(), ended])
}
