import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { suite, test } from 'node:test'
import { DELTA_ERRORS } from '@stream-ingest/delta/error'
import { allErrorCodes, createErrorReference } from '../../src/cli/error-reference.ts'
import { ERRORS } from '../../src/error.ts'
import { anchorsOf } from '../docs/markdown-page.ts'
import { documentOf, run } from './command-harness.ts'

suite('stream-ingest explain', () => {
  test('says what a code means, what to do and how the command line exits', async () => {
    const { stdout, exitCode } = await run(['explain', 'kafka_topic_not_found'])
    assert.equal(exitCode, 0)
    assert.match(
      stdout,
      /^KAFKA_TOPIC_NOT_FOUND\n {2}what .*\n {2}cause .*\n {2}example .*\n {2}help .*\n {2}retry .*\n {2}exit code {2}66\n {2}page .*#kafka_topic_not_found\n$/,
    )
  })

  test('knows every code of both packages', async () => {
    for (const code of [...Object.keys(ERRORS), ...Object.keys(DELTA_ERRORS)]) {
      const document = documentOf(await run(['explain', code, '--json']))
      assert.equal(document.code, code)
      for (const part of ['title', 'cause', 'hint'])
        assert.match(String(document[part]), /\w+/, `${code}: ${part}`)
      assert.match(String(document.cause), /\.$/, `${code}: the cause is a sentence`)
      assert.notEqual(document.example, '')
      assert.equal(document.page, `docs/reference/errors.md#${code.toLowerCase()}`)
    }
    const { stdout } = await run(['explain'])
    assert.equal(
      stdout.trim().split('\n').length,
      Object.keys(ERRORS).length + Object.keys(DELTA_ERRORS).length,
    )
  })

  test('is the page of the reference', async () => {
    const file = new URL('../../../../docs/reference/errors.md', import.meta.url)
    const page = await readFile(file, 'utf8')
    assert.equal(page, createErrorReference(), 'run `node --conditions=source scripts/generate-docs.mjs`')
    const anchors = anchorsOf(page)
    for (const code of allErrorCodes()) assert.ok(anchors.has(code.toLowerCase()), code)
  })

  test('suggests the code that was meant', async () => {
    const outcome = await run(['explain', 'CONFIG_UNKNOWN_KAY'])
    assert.equal(outcome.exitCode, 64)
    assert.match(outcome.stderr, /CONFIG_UNKNOWN_KEY/)
  })
})
