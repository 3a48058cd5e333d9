import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type EpochLoad,
  expectedMessages,
  type FlushLimits,
  isFull,
} from '../../src/pipeline/flush-policy.ts'

const limits: FlushLimits = {
  messages: 1_000_000,
  fileSizeBytes: 128 << 20,
  memoryBytes: 100_000_000,
  tablePartitions: 4_096,
  ageMs: 60_000,
}

test('an epoch that goes on as it began is full at the messages that are expected, and not much before', () => {
  const begun = fc.record({
    messageCount: fc.integer({ min: 32_768, max: 1_000_000 }),
    bytesEach: fc.double({ min: 0.01, max: 20_000, noNaN: true }),
  })
  fc.assert(
    fc.property(begun, ({ messageCount, bytesEach }) => {
      const load = (messages: number): EpochLoad => ({
        messageCount: messages,
        tablePartitionCount: 1,
        sizeBytes: messages * bytesEach,
      })
      const expected = expectedMessages(load(messageCount), limits)
      assert.ok(isFull(load(expected + 1), limits))
      assert.ok(expected < messageCount || !isFull(load(Math.floor(expected * 0.99)), limits))
    }),
  )
})

test('what takes no memory is bounded by the messages', () => {
  assert.equal(
    expectedMessages({ messageCount: 40_000, tablePartitionCount: 1, sizeBytes: 0 }, limits),
    limits.messages,
  )
})
