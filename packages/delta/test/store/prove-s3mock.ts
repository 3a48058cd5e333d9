/**
 * Started by `atomicity-probe-s3mock.test.ts` inside the network where S3Mock is: prints what the proof comes to.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { DeltaLakeError } from '../../src/error.ts'
import { proveConditionalPut } from '../../src/store/atomicity-probe.ts'
import { S3ObjectStore } from '../../src/store/s3.ts'

/** It lets two writers through in a quarter to a half of all races: this many are never all clean. */
const ROUNDS = 60

const store = new S3ObjectStore({
  bucket: process.env.SI_TEST_S3MOCK_BUCKET as string,
  prefix: 'events',
  region: 'us-east-1',
  endpoint: process.env.SI_TEST_S3MOCK_ENDPOINT as string,
  forcePathStyle: true,
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
})
try {
  await proveConditionalPut(store, { random: randomUUID, rounds: ROUNDS })
  process.stdout.write('accepted\n')
} catch (error) {
  if (!(error instanceof DeltaLakeError)) throw error
  process.stdout.write(`${error.code}: ${error.message}\n`)
} finally {
  await store.close()
}
