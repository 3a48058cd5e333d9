import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkConfigText } from '../../src/config/config.ts'
import { formatEffective } from '../../src/config/effective-config.ts'
import { USER_EVENTS_YAML } from './example-config.ts'

// biome-ignore lint/suspicious/noTemplateCurlyInString: variables of the configuration.
const VARIABLES = ['${SIZE:-20}', '${TOPIC}'] as const
const SEVERAL = `
kafka: { bootstrap_servers: ["a:9092", "b:9092"], topic: t, consumer_group: g, auto_offset_reset: { timestamp: "2026-01-01T00:00:00Z" } }
local: { path: "./a # lake" }
delta:
  table_name: t
  table_properties: { delta.checkpointInterval: "20", "odd key": "x: y" }
  schema:
    - { name: id, data_type: int64, nullable: false }
    - name: who
      data_type: "struct<name: utf8, tags: list<utf8>>"
      metadata: { source: payload.who }
processing:
  batch_size: ${VARIABLES[0]}
pipelines:
  first: {}
  second:
    kafka: { topic: "${VARIABLES[1]}" }
    delta: { table_name: other, optimize: { every: 2h } }
    freshness: { warn_after: 10m }
`

const OPTIONS = { environment: { TOPIC: 'orders' } }

function effectiveOf(text: string, options = OPTIONS): string {
  const { effective, pipelines, diagnostics } = checkConfigText(text, options)
  assert(pipelines !== null, JSON.stringify(diagnostics))
  return formatEffective(effective)
}

describe('the effective configuration', () => {
  for (const [name, text] of [
    ['one pipeline', USER_EVENTS_YAML],
    ['several', SEVERAL],
  ] as const) {
    test(`reads the same as the file that it is of: ${name}`, () => {
      const shown = effectiveOf(text)
      assert.deepEqual(checkConfigText(shown, OPTIONS).pipelines, checkConfigText(text, OPTIONS).pipelines)
      assert.equal(effectiveOf(shown).replaceAll(/#.*/g, ''), shown.replaceAll(/#.*/g, ''))
    })
  }

  test('says where each value stands, and what counts where none does', () => {
    const shown = effectiveOf(SEVERAL)
    assert.match(shown, /^ {6}consumer_group: "g" {3}# line 2$/m)
    assert.match(shown, /^ {6}topic: "\$\{TOPIC\}" {3}# line 17, in pipelines\.second\.kafka$/m)
    assert.match(shown, /^ {6}# isolation_level: read_committed {3}default$/m)
    assert(!shown.includes('# topics:'), 'a key without a default')
  })

  test('shows no secret, and shows where a secret comes from', () => {
    const sasl = (password: string): string =>
      effectiveOf(
        SEVERAL.replace(
          'consumer_group: g',
          `consumer_group: g, security_protocol: sasl_ssl, sasl: { mechanism: plain, username: me, password: ${password} }`,
        ),
        { environment: { TOPIC: 't', PASSWORD: 'hunter2' } } as never,
      )
    assert(!sasl('hunter2').includes('hunter2'))
    assert.match(sasl('hunter2'), /password: "\[secret\]"/)
    assert.match(sasl('{ from_env: PASSWORD }'), /password: \{ from_env: "PASSWORD" \}/)
  })

  test('is that of the values beside the file, where there are some', () => {
    const { effective } = checkConfigText(USER_EVENTS_YAML, { assignments: ['processing.batch_size=7'] })
    assert.match(formatEffective(effective), /batch_size: 7 /)
  })
})
