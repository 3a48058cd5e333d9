import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { FENCES_MAX, markdownFences } from '../../src/cli/markdown-fence.ts'

const OURS = 'kafka: {}\ndelta: {}'

function page(...fences: readonly (readonly [info: string, text: string])[]): string {
  return fences.map(([info, text]) => `Words.\n\`\`\`${info}\n${text}\n\`\`\`\n`).join('')
}

describe('fences of Markdown', () => {
  test('keep the lines and the indentation that they have in the page', () => {
    const { configurations } = markdownFences(
      `- a list\r\n\r\n  ~~~~ yml\r\n  kafka: {}\r\n  delta: {}\r\n  ~~~~\r\nend`,
    )
    assert.deepEqual(configurations, ['\n\n\n  kafka: {}\r\n  delta: {}\r'])
  })

  test('are configurations where two sections stand at the top level, or where they are marked', () => {
    const { configurations, skipped } = markdownFences(
      page(
        ['yaml', OURS],
        ['YAML title="a"', '# why\nkafak: {}\ns3: {}\n"delta": {}'],
        ['yaml stream-ingest', 'processing: {}'],
        ['yaml', 'processing: {}'],
        ['yaml', 'services:\n  kafka: {}\n  delta: {}'],
        ['yaml ignore', OURS],
        ['yaml {no-validate}', OURS],
        ['json', OURS],
        ['yamlish', OURS],
      ),
    )
    assert.equal(configurations.length, 3)
    assert.equal(skipped, 4)
  })

  test('end with the page where they are not closed, and with no shorter or other marker', () => {
    const { configurations } = markdownFences(`\`\`\`\`yaml\n${OURS}\n\`\`\`\n~~~~\nx: y`)
    assert.deepEqual(configurations, [`\n${OURS}\n\`\`\`\n~~~~\nx: y`])
  })

  test('are bounded', () => {
    const { configurations, skipped } = markdownFences(
      page(...Array.from({ length: FENCES_MAX + 2 }, () => ['yaml', OURS] as const)),
    )
    assert.equal(configurations.length, FENCES_MAX)
    assert.equal(skipped, 2)
  })
})
