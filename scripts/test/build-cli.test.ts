import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const BUILD = fileURLToPath(new URL('../build-cli.ts', import.meta.url))
const BIN = fileURLToPath(new URL('../../packages/stream-ingest/bin', import.meta.url))
const CONFIG = `
kafka: { bootstrap_servers: "127.0.0.1:1", topic: t, consumer_group: g }
local: { path: ./lake }
delta: { table_name: t, schema: [{ name: id, data_type: int64 }] }
`

describe('the bundled command line, where none of its libraries is installed', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'build-cli-'))
    const built = spawnSync(process.execPath, [BUILD, '--out', join(folder, 'dist/cli-bundle')], {
      encoding: 'utf8',
    })
    assert.equal(built.status, 0, built.stderr)
    await cp(BIN, join(folder, 'bin'), { recursive: true })
    await writeFile(join(folder, 'package.json'), '{"type":"module"}')
    await writeFile(join(folder, 'stream-ingest.yaml'), CONFIG)
  })
  after(() => rm(folder, { recursive: true, force: true }))

  function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
    const environment = { ...process.env, NODE_PATH: '', INGEST_CONFIG: '' }
    return spawnSync(process.execPath, [join(folder, 'bin/stream-ingest.js'), ...args], {
      cwd: folder,
      env: environment,
      encoding: 'utf8',
    })
  }

  test('validates a configuration', () => {
    const { status, stdout, stderr } = run('validate')
    assert.equal(status, 0, stderr)
    assert.match(stdout, /no problems in 1 file/)
  })

  test('writes a table from the embedded broker, crash included, and reads it', () => {
    const demo = run('demo', '--rows', '2000', '--dir', 'lake')
    assert.equal(demo.status, 0, demo.stderr)
    const read = run('read', join('lake', 'user_events'), '--limit', '1', '--json')
    assert.equal(read.status, 0, read.stderr)
    assert.match(read.stdout, /"user_id":/)
  })

  test('names what Kafka and a table lack, as the sources do', () => {
    const { status, stdout } = run('doctor', '--timeout', '2s', '--json')
    assert.notEqual(status, 0)
    assert.match(stdout, /KAFKA_UNREACHABLE/)
  })
})
