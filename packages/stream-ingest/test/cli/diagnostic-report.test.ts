import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { formatGithub, formatSarif } from '../../src/cli/diagnostic-report.ts'
import { configsOfMarkdown } from '../../src/cli/markdown-config.ts'
import { checkConfigText } from '../../src/config/config.ts'

const TEXT =
  'kafka: { bootstrap_servers: "localhost:9092", topc: t, consumer_group: g }\nlocal: { path: ./lake }\ndelta: { table_name: t }\n'

describe('findings for machines', () => {
  test('are workflow commands for GitHub, with everything escaped that would end a property or a line', () => {
    const { diagnostics } = checkConfigText(TEXT, { file: 'a,b:c/100%.yaml' })
    const [first, ...more] = formatGithub(diagnostics).trimEnd().split('\n')
    assert.equal(
      first,
      '::error file=a%2Cb%3Ac/100%25.yaml,line=1,col=47,endLine=1,endColumn=51,title=CONFIG_UNKNOWN_KEY::unknown key `topc` in kafka%0Adid you mean `topic`?',
    )
    assert.deepEqual(more, [])
  })

  test('are nothing where there are none', () => {
    assert.equal(formatGithub([]), '')
  })

  test('are a SARIF log: each code a rule, each finding a result at its place', () => {
    const { diagnostics } = checkConfigText(TEXT.replace('localhost:9092', ''), { file: 'my configs/a.yaml' })
    const log = JSON.parse(formatSarif(diagnostics))
    assert.equal(log.version, '2.1.0')
    const [run] = log.runs
    assert.equal(run.results.length, diagnostics.length)
    assert(run.results.length >= 2)
    for (const [i, result] of run.results.entries()) {
      const rule = run.tool.driver.rules[result.ruleIndex]
      assert.equal(rule.id, result.ruleId)
      assert(rule.shortDescription.text !== '' && rule.help.text !== '')
      assert.equal(result.level, 'error')
      const { artifactLocation, region } = result.locations[0].physicalLocation
      assert.equal(artifactLocation.uri, 'my%20configs/a.yaml')
      assert.equal(region.startLine, diagnostics[i]!.line)
      assert.equal(region.startColumn, diagnostics[i]!.column)
    }
    assert.equal(
      new Set(run.tool.driver.rules.map((rule: { id: string }) => rule.id)).size,
      run.tool.driver.rules.length,
    )
  })
})

describe('configurations in Markdown', () => {
  const markdown = `
# Title

\`\`\`yaml
kafka: { topic: a }
delta: { table_name: a }
\`\`\`

- a list

  ~~~~yml
  kafka:
    topic: b
  ~~~
  delta:
    table_name: b
  ~~~~

\`\`\`yaml
services: { web: {} }
\`\`\`

\`\`\`yaml ignore
kafka: {}
delta: {}
\`\`\`

\`\`\`yaml stream-ingest
local: { path: ./lake }
\`\`\`

\`\`\`ts
kafka: nothing
delta: nothing
\`\`\`

\`\`\`yaml
pipelines: {}
`
  test('are the fences that look like one or say so, to the end of the file where one is not closed', () => {
    const { configs, skippedCount } = configsOfMarkdown(markdown)
    assert.deepEqual(
      configs.map(({ text }) => text.trim().split('\n')[0]),
      ['kafka: { topic: a }', 'kafka:', 'local: { path: ./lake }', 'pipelines: {}'],
    )
    assert.equal(skippedCount, 2)
  })

  test('keep the lines of the file', () => {
    const lines = markdown.split('\n')
    for (const { text } of configsOfMarkdown(markdown).configs) {
      const own = text.split('\n')
      const first = own.findIndex(line => line !== '')
      assert.equal(own[first], lines[first])
    }
  })

  test('are checked at their place', () => {
    const [config] = configsOfMarkdown('text\n\n```yaml\nkafka: { topc: a }\ndelta: {}\n```\n').configs
    assert.equal(checkConfigText(config!.text).diagnostics[0]!.line, 4)
  })
})
