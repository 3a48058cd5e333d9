import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { field, parseJson, primitive, struct } from '@stream-ingest/delta'
import { show, showAll, temporaryFolder, type World, writeTable } from './table-fixture.ts'

const SCHEMA = struct([field('id', primitive('long'), false)])
const COMMIT_1 = '_delta_log/00000000000000000001.json'

/** Versions 0 to 2. */
async function lake(t: TestContext): Promise<World & { readonly table: string }> {
  const cwd = await temporaryFolder(t)
  const table = join(cwd, 'events')
  await writeTable(table, {
    schema: SCHEMA,
    commits: [1n, 2n].map(id => ({ files: [{ rows: [{ id }] }] })),
  })
  return { cwd, table }
}

describe('check', () => {
  test('says that a sound table is sound, and what was looked at', async t => {
    const world = await lake(t)
    const head = `file://${world.table}\nDelta table   version 2   looked at `
    assert.equal(
      await showAll(['check', 'events'], world),
      `${head}3 commits   0 checkpoints   3 checksums   2 files\n\n✓ sound\n`,
    )
    assert.match(await showAll(['check', 'events', '--deep', '--version', '1'], world), /1 file, every row\n/)
  })

  test('lists findings and ends with 1', async t => {
    const world = await lake(t)
    await rm(join(world.table, COMMIT_1))
    const { exitCode, stdout } = await show(['check', 'events'], world)
    assert.equal(exitCode, 1)
    const [, , , first, second, last] = stdout.split('\n')
    assert.equal(first, `✗ log-gap   version 1   version 1 is missing (\`${COMMIT_1}\`)`)
    assert.match(second!, /^✗ log-unreadable {3}version 2 {3}the log of .* has a gap/)
    assert.equal(last, '2 findings')
  })

  test('prints its document with --json', async t => {
    const world = await lake(t)
    await rm(join(world.table, COMMIT_1))
    const { exitCode, stdout } = await show(['check', 'events', '--json'], world)
    assert.equal(exitCode, 1)
    const { findings, ...rest } = parseJson(stdout) as { findings: unknown[] }
    assert.deepEqual(findings[0], {
      rule: 'log-gap',
      message: `version 1 is missing (\`${COMMIT_1}\`)`,
      version: 1,
      file: COMMIT_1,
    })
    assert.deepEqual(rest, {
      uri: `file://${world.table}`,
      version: 2,
      deep: false,
      sound: false,
      commits: 2,
      checkpoints: 0,
      checksums: 1,
      files: null,
      findingsLeftOut: 0,
    })
  })

  test('fails where there is no table', async t => {
    const { exitCode, stderr } = await show(['check', 'nothing'], { cwd: await temporaryFolder(t) })
    assert.equal(exitCode, 66)
    assert.match(stderr, /DELTA_TABLE_NOT_FOUND/)
  })
})
