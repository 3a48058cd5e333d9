import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryObjectStore, tableExists } from '@stream-ingest/delta'

const V = '00000000000000000007'

for (const [key, expected] of [
  [`_delta_log/${V}.json`, true],
  [`_delta_log/${V}.checkpoint.parquet`, true],
  [`_delta_log/${V}.checkpoint.0000000001.0000000002.parquet`, true],
  [`_delta_log/${V}.checkpoint.3a0d65cd-4056-49b8-937b-95f9e3ee90e5.json`, true],
  [`_delta_log/${V}.crc`, false],
  ['_delta_log/_last_checkpoint', false],
  [`_delta_log/_staged/${V}.json`, false],
  [`inner/_delta_log/${V}.json`, false],
  ['part-0.parquet', false],
] as const) {
  test(`a place with ${key} ${expected ? 'holds a table' : 'holds none'}`, async () => {
    const store = new MemoryObjectStore()
    await store.put(key, new Uint8Array(1))
    assert.equal(await tableExists(store), expected)
  })
}
