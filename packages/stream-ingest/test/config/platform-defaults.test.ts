import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { IngestConfig } from '../../src/config/config.ts'
import { platformDefaults } from '../../src/config/platform-defaults.ts'

const MIB = 2 ** 20

function lambda(memoryMib: string | undefined, pipelineCount = 1) {
  return platformDefaults(
    {
      AWS_LAMBDA_RUNTIME_API: '127.0.0.1:9001',
      ...(memoryMib === undefined ? {} : { AWS_LAMBDA_FUNCTION_MEMORY_SIZE: memoryMib }),
    },
    pipelineCount,
  )
}

suite('the defaults of a platform', () => {
  test('are a fixed budget and no limit of time where the process is its own', () => {
    assert.deepEqual(platformDefaults({ AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '128' }, 3), {
      memoryLimitBytes: 512 * MIB,
    })
  })

  test('are a share of the memory and fourteen minutes on AWS Lambda', () => {
    const cases: [string | undefined, number, number][] = [
      ['128', 1, 16],
      ['256', 1, 16],
      ['512', 1, 85],
      ['1024', 1, 256],
      ['1024', 2, 128],
      ['10240', 1, 512],
      ['512', 100, 16],
      ['much', 1, 16],
      [undefined, 1, 16],
    ]
    for (const [memoryMib, pipelines, expectedMib] of cases) {
      const { memoryLimitBytes, runtimeLimitMs } = lambda(memoryMib, pipelines)
      assert.deepEqual(
        [Math.floor(memoryLimitBytes / MIB), runtimeLimitMs],
        [expectedMib, 840_000],
        `${memoryMib} MiB, ${pipelines} pipelines`,
      )
    }
  })

  test('hold where the configuration says nothing, and not where it does', () => {
    const load = (processing: string) =>
      IngestConfig.parse(
        `
kafka: { bootstrap_servers: "a:9092", topic: t, consumer_group: g }
local: { path: /unused }
delta: { table_name: t, schema: [{ name: id, data_type: int64 }] }
processing: ${processing}
`,
        { environment: { AWS_LAMBDA_RUNTIME_API: 'x', AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '1024' } },
      ).pipelines[0]!.processing
    const silent = load('{}')
    assert.deepEqual([silent.memoryLimitBytes, silent.runtimeLimitMs], [256 * MIB, 840_000])
    const explicit = load('{ memory_limit: 64MiB, runtime_limit_ms: 60000 }')
    assert.deepEqual([explicit.memoryLimitBytes, explicit.runtimeLimitMs], [64 * MIB, 60_000])
  })
})
