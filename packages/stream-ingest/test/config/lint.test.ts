import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkConfigText } from '../../src/config/config.ts'

const KAFKA =
  'kafka: { bootstrap_servers: "localhost:9092", topic: t, consumer_group: g }\nlocal: { path: ./lake }\n'
const SCHEMA =
  'schema: [{ name: id, data_type: int64 }, { name: at, data_type: timestamp }, { name: day, data_type: date }]'

interface Parts {
  readonly delta?: string
  readonly rest?: string
}

function lints({ delta = '', rest = '' }: Parts): string[] {
  const text = `${KAFKA}delta: { table_name: t, ${SCHEMA}${delta === '' ? '' : `, ${delta}`} }\n${rest}`
  const { diagnostics, pipelines } = checkConfigText(text)
  assert(pipelines !== null, JSON.stringify(diagnostics))
  return diagnostics.map(({ code, severity, message, frame, help }) => {
    assert.equal(severity, 'warning')
    assert(frame !== null && help !== null)
    return `${code} ${frame.text.slice(frame.start, frame.start + frame.length)}: ${message}`
  })
}

describe('lints', () => {
  test('say nothing of a usual configuration', () => {
    assert.deepEqual(lints({}), [])
    const care = 'optimize: { every: 1h }, vacuum: { every: 24h, retention: 168h }, partition_columns: [day]'
    assert.deepEqual(lints({ delta: care, rest: 'freshness: { warn_after: 10m, error_after: 1h }' }), [])
  })

  test('small files, unless they are compacted', () => {
    const rest = 'processing: { batch_timeout_ms: 1000 }'
    assert.deepEqual(lints({ rest }), [
      'CONFIG_SMALL_FILES 1000: a commit every 1s writes up to 86,400 files a day for each partition of the table',
    ])
    assert.deepEqual(lints({ rest, delta: 'optimize: { every: 1h }' }), [])
    assert.deepEqual(lints({ rest: 'processing: { batch_timeout_ms: 10000 }' }), [])
  })

  test('files that can never become as large as they should', () => {
    const [found, ...more] = lints({
      delta: 'target_file_size: 1GiB',
      rest: 'processing: { memory_limit: 256MiB }',
    })
    assert.deepEqual(more, [])
    assert.match(found!, /^CONFIG_CONFLICT 1GiB: no file becomes this large/)
    assert.deepEqual(
      lints({ rest: 'processing: { memory_limit: 64MiB }' }),
      [],
      'the default is nobody’s wish',
    )
  })

  test('files that are deleted early', () => {
    assert.match(
      lints({ delta: 'vacuum: { retention: 48h }' })[0]!,
      /^CONFIG_SHORT_RETENTION .*queries that take longer/,
    )
    const rest = 'processing: { batch_timeout_ms: 43200000 }'
    assert.match(lints({ delta: 'vacuum: { retention: 24h }', rest })[0]!, /a commit alone may take 12h/)
  })

  test('partitions of nearly one row each', () => {
    assert.match(
      lints({ delta: 'partition_columns: [at]' })[0]!,
      /^CONFIG_PARTITION_COLUMN .*a timestamp hardly ever repeats/,
    )
    assert.deepEqual(lints({ delta: 'partition_columns: [day, id]' }), [])
  })

  test('an alarm that always rings', () => {
    const rest = 'freshness: { error_after: 20s }'
    assert.match(lints({ rest })[0]!, /^CONFIG_CONFLICT 20s: messages may wait 30s for a commit/)
  })

  test('a file that writes nothing', () => {
    assert.match(
      lints({ rest: 'processing: { dry_run: true }' })[0]!,
      /^CONFIG_DRY_RUN true: nothing is written/,
    )
  })

  test('in place of a table that is replaced: care that never comes', () => {
    const found = lints({ delta: 'write_mode: overwrite, vacuum: { every: 24h }' })
    assert.match(found[0]!, /^CONFIG_CONFLICT .*ends before its care is due/)
  })
})
