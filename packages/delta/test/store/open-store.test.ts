import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeltaLakeError } from '../../src/error.ts'
import { LocalObjectStore } from '../../src/store/local.ts'
import { MemoryObjectStore } from '../../src/store/memory.ts'
import { openStore } from '../../src/store/open-store.ts'
import { S3ObjectStore } from '../../src/store/s3.ts'

test('a path and a file URI open a directory', () => {
  const relative = openStore('./lake/events/', { workingDirectory: '/data' })
  assert.ok(relative instanceof LocalObjectStore)
  assert.equal(relative.uri, 'file:///data/lake/events')
  assert.equal(openStore('/lake').uri, 'file:///lake')
  assert.equal(openStore('file:///lake/user%20events').uri, 'file:///lake/user%20events')
  assert.equal(openStore('a:b', { workingDirectory: '/' }).uri, 'file:///a:b')
})

test('an S3 URI opens a bucket, with or without a prefix, without decoding it', () => {
  const store = openStore('s3://my-lake/delta%20tables/user_events/', {
    s3: { endpoint: 'http://127.0.0.1:9000' },
  })
  assert.ok(store instanceof S3ObjectStore)
  assert.equal(store.uri, 's3://my-lake/delta%20tables/user_events')
  assert.equal(store.endpoint, 'http://127.0.0.1:9000')
  assert.equal(openStore('s3://my-lake').uri, 's3://my-lake')
  assert.equal(openStore('S3://my-lake/').uri, 's3://my-lake')
  assert.equal(openStore('s3://my-lake').endpoint, undefined)
})

test('`memory:` opens an empty store with a name', () => {
  const store = openStore('memory:test')
  assert.ok(store instanceof MemoryObjectStore)
  assert.equal(store.uri, 'memory:test')
  assert.equal(openStore('memory:').uri, 'memory:')
})

test('anything else is refused, and says what could be written', () => {
  const refused = (uri: string, message: RegExp, hint: RegExp = /s3:\/\/bucket\/prefix/) =>
    assert.throws(
      () => openStore(uri),
      (error: unknown) => {
        assert.ok(error instanceof DeltaLakeError)
        assert.equal(error.code, 'STORE_URI_INVALID')
        assert.match(error.message, message)
        assert.match(error.hint, hint)
        return true
      },
    )
  refused('', /is empty/)
  refused('gs://bucket/x', /unknown scheme `gs`/)
  refused('https://user:password@bucket.s3.amazonaws.com/x', /`https:\/\/\[secret\]@bucket/)
  refused('s3a://bucket/x', /of Hadoop/, /`s3:\/\/bucket\/x`/)
  refused('s3:bucket/x', /no `\/\/`/)
  refused('s3:///x', /names no bucket/)
  refused('s3://b/x', /names no bucket: `b`/)
  refused('file://host/x', /no address of a local file/, /file:\/\/\/path/)
  assert.throws(() => openStore('s3://bucket/../x'), { code: 'STORE_KEY_INVALID' })
})
