import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type {
  IngestMetrics,
  KafkaMessage,
  ProcessingResult,
  SchemaField,
  TableMetrics,
  WriteResult,
} from 'stream-ingest'
import * as streamIngest from 'stream-ingest'

const exported = { ...streamIngest }
type Constructor = abstract new (...args: never[]) => object

/** spec: the public classes with their methods; a property is `get` or a value. */
const CLASSES: Readonly<Record<string, readonly string[]>> = {
  IngestConfig: ['validate', 'getDeltaTablePath', 'getSchemaFields'],
  KafkaConsumerClient: ['consumeBatch', 'commitOffsets', 'healthCheck', 'getMetrics', 'close'],
  MessageBatch: ['nextOffsets'],
  S3Client: [
    'ensureBucketExists',
    'listDeltaTables',
    'checkDeltaTableExists',
    'getTableMetadata',
    'cleanupOldFiles',
    'getBucketMetrics',
    'healthCheck',
    'getTableUri',
    'close',
  ],
  DeltaWriter: [
    'writeBatch',
    'createTableIfNotExists',
    'getTableSchema',
    'optimizeTable',
    'vacuumTable',
    'getTableMetrics',
    'healthCheck',
    'close',
  ],
  StreamIngestProcessor: ['processStream', 'healthCheck', 'getMetrics', 'close'],
  StreamIngestError: ['isRetryable', 'shouldSkipMessage', 'getRetryDelayMs'],
}
const ERROR_CLASSES = [
  'ConfigError',
  'KafkaError',
  'DeltaError',
  'S3Error',
  'LambdaError',
  'SerializationError',
  'IoError',
  'GenericError',
] as const
const FUNCTIONS = [
  'parseJsonMessage',
  'extractPartitionValues',
  'convertToArrowBatch',
  'createArrowSchema',
  'subscribe',
] as const

suite('the package exports', () => {
  for (const [name, methods] of Object.entries(CLASSES)) {
    test(`the class ${name} with its methods`, () => {
      const found = exported[name as keyof typeof exported] as unknown as Constructor
      assert.equal(typeof found, 'function')
      assert.equal(found.name, name)
      assert.match(Function.prototype.toString.call(found), /^(abstract )?class /)
      const { prototype } = found as { prototype: Record<string, unknown> }
      for (const method of methods) assert.equal(typeof prototype[method], 'function', method)
    })
  }

  test('IngestConfig with its ways to be made', () => {
    for (const name of ['fromFile', 'fromEnv', 'fromText', 'parse'] as const) {
      assert.equal(typeof streamIngest.IngestConfig[name], 'function')
    }
    assert.equal(typeof streamIngest.StreamIngestError.from, 'function')
  })

  for (const name of ERROR_CLASSES) {
    test(`the error ${name}`, () => {
      const error = new exported[name]('INTERNAL', 'x')
      assert.ok(error instanceof streamIngest.StreamIngestError)
      assert.equal(error.name, name)
    })
  }

  for (const name of FUNCTIONS) {
    test(`the function ${name}`, () => {
      assert.equal(typeof exported[name], 'function')
      assert.equal(exported[name].name, name)
    })
  }

  test('the types of what its methods take and give', () => {
    // The compiler is the test: these names and fields are fixed.
    const result = {} as Partial<ProcessingResult>
    const fields: (keyof ProcessingResult)[] = [
      'success',
      'messagesProcessed',
      'batchesProcessed',
      'bytesProcessed',
      'processingTimeMs',
      'errors',
      'metrics',
    ]
    const written: (keyof WriteResult)[] = [
      'filesWritten',
      'rowsWritten',
      'bytesWritten',
      'version',
      'badRecords',
    ]
    const message: (keyof KafkaMessage)[] = [
      'key',
      'payload',
      'topic',
      'partition',
      'offset',
      'timestamp',
      'headers',
      'keyBytes',
      'payloadBytes',
      'headerList',
    ]
    const column: (keyof SchemaField)[] = ['name', 'dataType', 'nullable', 'metadata']
    const metrics: (keyof IngestMetrics)[] = ['messages', 'rows', 'badRecords', 'skipped', 'filtered']
    const table: (keyof TableMetrics)[] = ['version', 'numFiles', 'sizeBytes', 'numRows']
    assert.ok([result, fields, written, message, column, metrics, table].every(Boolean))
  })
})

test('a configuration shows its columns', () => {
  const config = streamIngest.IngestConfig.parse(`
kafka: { bootstrap_servers: "a:9092", topic: t, consumer_group: g }
local: { path: ./lake }
delta:
  table_name: events
  schema:
    - { name: id, data_type: uint64, nullable: false, metadata: { comment: "the key" } }
    - { name: tags, data_type: "list<utf8>" }
`)
  assert.deepEqual(config.getSchemaFields(), [
    {
      name: 'id',
      dataType: { kind: 'decimal', precision: 20, scale: 0 },
      nullable: false,
      metadata: { comment: 'the key' },
    },
    {
      name: 'tags',
      dataType: { kind: 'array', element: { kind: 'primitive', name: 'string' }, containsNull: true },
      nullable: true,
    },
  ])
})

test('importing the package loads neither the AWS SDK nor Arrow', async () => {
  // A process of its own: what is loaded in this one tells nothing. The hook sees every module, ES or not.
  const script = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({
      load(url, context, next) {
        loaded.push(url)
        return next(url, context)
      },
    })
    await import('stream-ingest')
    const heavy = loaded.filter(url => /node_modules\\/(@aws-sdk|@smithy|apache-arrow)\\//.test(url))
    console.log(JSON.stringify({ count: loaded.length, heavy }))
  `
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--conditions=source', '--input-type=module', '--eval', script],
    { cwd: fileURLToPath(new URL('..', import.meta.url)) },
  )
  const { count, heavy } = JSON.parse(stdout) as { count: number; heavy: string[] }
  assert.ok(count > 50, 'the hook sees the modules')
  assert.deepEqual(heavy, [])
})
