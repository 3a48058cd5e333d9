import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { formatGithub } from '../../src/cli/validate-github.ts'
import type { ValidateReport } from '../../src/cli/validate-report.ts'
import { formatSarif } from '../../src/cli/validate-sarif.ts'
import type { Diagnostic } from '../../src/error.ts'

const FINDING: Diagnostic = {
  code: 'CONFIG_UNKNOWN_KEY',
  severity: 'error',
  file: 'pipelines/a,b:c 100%.yaml',
  line: 3,
  column: 5,
  endLine: 3,
  endColumn: 9,
  message: 'unknown key `topc`, 100%\r\nof it: odd',
  help: 'did you mean `topic`?',
  suggestion: 'topic',
  frame: null,
}

function reportOf(...diagnostics: readonly Diagnostic[]): ValidateReport {
  return {
    ok: false,
    files: [{ file: 'a', diagnostics, pipelines: null, tests: [], effective: [], tablePlaces: [] }],
    skipped: 0,
  }
}

describe('annotations of GitHub', () => {
  test('escape messages and, with commas and colons, properties', () => {
    assert.equal(
      formatGithub(reportOf(FINDING)),
      '::error file=pipelines/a%2Cb%3Ac 100%25.yaml,line=3,col=5,endLine=3,endColumn=9,title=CONFIG_UNKNOWN_KEY' +
        '::unknown key `topc`, 100%25%0D%0Aof it: odd%0Ahelp: did you mean `topic`?\n1 error in 1 file.\n',
    )
  })

  test('name no columns where a finding spans lines, and leave out help that there is none of', () => {
    const [line] = formatGithub(
      reportOf({ ...FINDING, file: 'a', severity: 'warning', endLine: 7, message: 'm', help: null }),
    ).split('\n')
    assert.equal(line, '::warning file=a,line=3,endLine=7,title=CONFIG_UNKNOWN_KEY::m')
  })
})

describe('a SARIF log', () => {
  const log = JSON.parse(
    formatSarif(
      reportOf(
        FINDING,
        { ...FINDING, code: 'CONFIG_CONFLICT', severity: 'warning', file: '/w/x.yaml', help: null },
        { ...FINDING, file: '/elsewhere/y.yaml' },
        { ...FINDING, file: 's3://bucket/z.yaml' },
      ),
      '/w',
    ),
  )
  const [run] = log.runs

  test('has what the schema of SARIF 2.1.0 requires', () => {
    assert.equal(log.version, '2.1.0')
    assert.match(log.$schema, /sarif-2\.1\.0/)
    assert.equal(log.runs.length, 1)
    assert.equal(run.tool.driver.name, 'stream-ingest')
    for (const rule of run.tool.driver.rules) {
      assert.equal(typeof rule.id, 'string')
      assert.notEqual(rule.shortDescription.text, '')
      assert.notEqual(rule.help.text, '')
    }
    for (const result of run.results) {
      assert.equal(run.tool.driver.rules[result.ruleIndex].id, result.ruleId)
      assert.ok(['error', 'warning'].includes(result.level))
      assert.notEqual(result.message.text, '')
      const { region } = result.locations[0].physicalLocation
      for (const key of ['startLine', 'startColumn', 'endLine', 'endColumn']) assert.ok(region[key] >= 1, key)
    }
  })

  test('names each rule once, and files as URIs relative to the working directory', () => {
    const ids = run.tool.driver.rules.map((rule: { id: string }) => rule.id)
    assert.deepEqual(ids, ['CONFIG_CONFLICT', 'CONFIG_UNKNOWN_KEY'])
    const uris = run.results.map(
      (result: { locations: { physicalLocation: { artifactLocation: { uri: string } } }[] }) =>
        result.locations[0]?.physicalLocation.artifactLocation.uri,
    )
    assert.deepEqual(uris, [
      'pipelines/a%2Cb%3Ac%20100%25.yaml',
      'x.yaml',
      'file:///elsewhere/y.yaml',
      's3://bucket/z.yaml',
    ])
  })
})
