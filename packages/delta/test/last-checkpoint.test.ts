import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseJsonLossless } from '../src/json.ts'
import {
  canonicalChecksum,
  canonicalForm,
  formatLastCheckpoint,
  parseLastCheckpoint,
  readLastCheckpoint,
  writeLastCheckpoint,
} from '../src/last-checkpoint.ts'
import { LAST_CHECKPOINT_PATH } from '../src/log-path.ts'
import { createTestLog } from './table-log.ts'

test('the checksum is the one of the protocol', () => {
  const json = parseJsonLossless(
    `{"k0":"'v 0'","checksum":"adsaskfljadfkjadfkj","k1":{"k2":2,"k3":["v3",[1,2],{"k4":"v4","k5":["v5","v6","v7"]}]}}`,
  ) as Record<string, unknown>
  assert.equal(
    canonicalForm(json),
    '"k0"="%27v%200%27","k1"+"k2"=2,"k1"+"k3"+0="v3","k1"+"k3"+1+0=1,"k1"+"k3"+1+1=2,"k1"+"k3"+2+"k4"="v4","k1"+"k3"+2+"k5"+0="v5","k1"+"k3"+2+"k5"+1="v6","k1"+"k3"+2+"k5"+2="v7"',
  )
  assert.equal(canonicalChecksum(json), '6a92d155a59bf2eecbd4b4ec7fd1f875')
})

test('a pointer survives formatting and parsing', () => {
  const hint = { version: 10, size: 12, sizeInBytes: 1000, numOfAddFiles: 9 }
  assert.deepEqual(parseLastCheckpoint(formatLastCheckpoint(hint)), hint)
})

test('a pointer that is empty, torn, of another shape or altered is none', () => {
  const good = formatLastCheckpoint({ version: 10, size: 12 })
  const texts = ['', '{', 'null', '[]', '{"size":1}', '{"version":-1,"size":1}', good.replace('10', '11')]
  for (const text of texts) assert.equal(parseLastCheckpoint(text), null, text)
})

test('the pointer moves forward only', async () => {
  const { store, put } = createTestLog()
  assert.equal(await readLastCheckpoint(store), null)
  await put(LAST_CHECKPOINT_PATH, 'torn')
  await writeLastCheckpoint(store, { version: 10, size: 5 })
  await writeLastCheckpoint(store, { version: 9, size: 4 })
  assert.deepEqual(await readLastCheckpoint(store), { version: 10, size: 5 })
})
