import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MessageSource, TopicPartition } from '../../src/kafka/message-source.ts'
import { subscribe } from '../../src/observe/event.ts'
import { GroupOffsets } from '../../src/pipeline/epoch-sink.ts'
import { pipelineConfig } from './table-fixture.ts'

const PARTITION: TopicPartition = { topic: 't', topicId: 'id', partition: 0 }
const at = (offset: bigint) => new Map([[PARTITION, offset]])

/** A source whose answers wait to be given. */
function slowSource() {
  const asked: bigint[] = []
  const answers: ((error?: Error) => void)[] = []
  const source = {
    commitGroupOffsets(offsets: ReadonlyMap<TopicPartition, bigint>) {
      asked.push(offsets.get(PARTITION)!)
      return new Promise<void>((resolve, reject) => {
        answers.push(error => (error === undefined ? resolve() : reject(error)))
      })
    },
  } as Partial<MessageSource> as MessageSource
  return { source, asked, answers }
}

test('of offsets that wait for a slow broker only the newest are sent', async () => {
  const { source, asked, answers } = slowSource()
  const group = new GroupOffsets({ config: pipelineConfig(), source })
  for (let offset = 1n; offset <= 1_000n; offset++) group.commit(at(offset))
  assert.deepEqual(asked, [1n])
  const settled = group.settle()
  answers[0]!()
  while (answers.length < 2) await Promise.resolve()
  answers[1]!()
  await settled
  assert.deepEqual(asked, [1n, 1_000n])
  group.commit(at(1_001n))
  answers[2]!()
  await group.settle()
  assert.deepEqual(asked, [1n, 1_000n, 1_001n])
})

test('a broker that refuses is told as an event, and asked again with the next ones', async () => {
  const { source, asked, answers } = slowSource()
  const failures: unknown[] = []
  const end = subscribe('group-offsets:failed', ({ error }) => failures.push(error))
  const group = new GroupOffsets({ config: pipelineConfig(), source })
  group.commit(at(1n))
  answers[0]!(new Error('no'))
  await group.settle()
  group.commit(at(2n))
  answers[1]!()
  await group.settle()
  end()
  assert.equal(failures.length, 1)
  assert.deepEqual(asked, [1n, 2n])
})
