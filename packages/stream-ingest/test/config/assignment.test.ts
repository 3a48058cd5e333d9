import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ASSIGNMENTS_MAX } from '../../src/config/assignment.ts'
import { checkConfigText, IngestConfig } from '../../src/config/config.ts'

const TEXT = `kafka: { bootstrap_servers: "localhost:9092", topic: t, consumer_group: g }
local: { path: ./lake }
delta:
  table_name: t
  schema: [{ name: id, data_type: int64 }]
processing:
  batch_size: 10   # a comment`

const parse = (...assignments: string[]): IngestConfig => IngestConfig.parse(TEXT, { assignments })

describe('values beside the file', () => {
  test('replace those of the file, are added to it, and the last one counts', () => {
    const config = parse('processing.batch_size=20000', 'kafka.topic=other', 'delta.optimize.every=2h')
    assert.equal(config.processing.batchSize, 20_000)
    assert.deepEqual(config.kafka.topics, ['other'])
    assert.equal(parse('kafka.topic=a', 'kafka.topic=b').kafka.topics[0], 'b')
    assert.equal(parse().processing.batchSize, 10)
  })

  test('may be lists, maps, quoted texts and variables', () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the configuration.
    const assignments = ['kafka.topic=${TOPIC}', 'delta.partition_columns=[id]', 'kafka.client_id="a: b"']
    const config = IngestConfig.parse(TEXT, { assignments, environment: { TOPIC: 'orders' } })
    assert.deepEqual(config.kafka.topics, ['orders'])
    assert.deepEqual(config.delta.partitionColumns, ['id'])
    assert.equal(config.kafka.clientId, 'a: b')
  })

  test('reach one of several pipelines', () => {
    const assignments = ['pipelines.a.kafka.topic=first', 'pipelines.b.delta.table_name=second']
    const config = IngestConfig.parse(TEXT, { assignments })
    assert.deepEqual(
      config.pipelines.map(({ name, kafka, delta }) => [name, kafka.topics[0], delta.tableName]),
      [
        ['a', 'first', 't'],
        ['b', 't', 'second'],
      ],
    )
  })

  test('are located and explained like the text', () => {
    const [finding, ...more] = checkConfigText(TEXT, {
      file: 'f.yaml',
      assignments: ['kafka.topic=x', 'processing.batch_sise=5'],
    }).diagnostics
    assert.deepEqual(more, [])
    assert.equal(finding!.code, 'CONFIG_UNKNOWN_KEY')
    assert.equal(finding!.suggestion, 'batch_size')
    assert.equal(finding!.line, 9)
    assert.match(finding!.frame!.text, /# --set processing\.batch_sise=5/)
    const [wrong] = checkConfigText(TEXT, { assignments: ['processing.batch_size=many'] }).diagnostics
    assert.equal(wrong!.column, '# --set processing.batch_size='.length + 1)
  })

  test('that lie below what is no map, or are not YAML, are located too', () => {
    const codesOf = (...assignments: string[]) =>
      checkConfigText(TEXT, { assignments }).diagnostics.map(({ code }) => code)
    assert.deepEqual(codesOf('kafka.topic.name=x'), ['CONFIG_INVALID'])
    assert.deepEqual(codesOf('kafka.topic=[a'), ['CONFIG_YAML_SYNTAX'])
  })

  test('show no secret', () => {
    const assignments = [
      'kafka.security_protocol=sasl_plaintext',
      'kafka.sasl={ mechanism: plain, username: u, password: hunter2, realm: x }',
    ]
    const { diagnostics } = checkConfigText(TEXT, { assignments })
    assert(diagnostics.length > 0)
    assert(!JSON.stringify(diagnostics).includes('hunter2'))
  })

  test('of another form, or too many, are a wrong use', () => {
    for (const wrong of ['topic', '=x', 'kafka..topic=x', 'kafka.topic=a\nb: c']) {
      assert.throws(() => parse(wrong), { code: 'CONFIG_USAGE' })
    }
    const many = Array<string>(ASSIGNMENTS_MAX + 1).fill('kafka.topic=x')
    assert.throws(() => parse(...many), { code: 'CONFIG_USAGE' })
  })
})
