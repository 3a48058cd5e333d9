import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { printEveryDocument } from './json-documents.ts'
import { ROOT } from './markdown-page.ts'

const PAGE = join(ROOT, 'docs/reference/json.md')
/** What is in these depends on the table, the error or the moment: columns, settings, actions of the log. */
const OPEN = new Set([
  'actions[]',
  'badRecordsByCode',
  'context',
  'operationParameters',
  'partitionValues',
  'properties',
  'row',
  'rows[]',
  'schema',
  'settings',
])

const HEAD = `# JSON documents

With \`--json\` a verb prints exactly one document on the standard output; logs and progress go to the standard error. Fields are only ever added.
64-bit numbers are exact JSON integers, instants ISO 8601 in UTC. \`[]\` is an element of a list; an \`object\` holds names of the table, of the error or of
the log. What a field means is in the guide of its verb ([index](../README.md)).

The tables are made from documents that the verbs printed. A verb that fails prints the document under \`error\`.
`

type Fields = Map<string, Set<string>>

function collect(value: unknown, path: string, name: string, fields: Fields): void {
  const types = fields.get(path) ?? new Set()
  if (path !== '') fields.set(path, types)
  if (value === null) return
  if (Array.isArray(value)) {
    types.add('list')
    for (const item of value) collect(item, `${path}[]`, `${name}[]`, fields)
  } else if (typeof value === 'object') {
    types.add('object')
    if (OPEN.has(name)) return
    for (const [key, item] of Object.entries(value))
      collect(item, path === '' ? key : `${path}.${key}`, key, fields)
  } else types.add(typeof value === 'bigint' ? 'number' : typeof value)
}

test('the page of JSON documents has every field that the verbs print, and no other', async t => {
  const documents = await printEveryDocument(t)
  const sections = [...documents].map(([verb, printed]) => {
    const fields: Fields = new Map()
    for (const document of printed) {
      if (verb === 'error' || !('error' in document)) collect(document, '', '', fields)
    }
    assert(
      fields.size > 0,
      `${verb}: ${JSON.stringify(printed, (_, v) => (typeof v === 'bigint' ? Number(v) : v))}`,
    )
    const rows = [...fields].map(([path, types]) => {
      // Null at times, or always in these documents.
      const shown = types.size === 0 ? 'null, or a value' : [...types].sort().join(' or ')
      return `| \`${path}\` | ${shown} |`
    })
    return `\n## ${verb}\n\n| field | type |\n|---|---|\n${rows.sort().join('\n')}\n`
  })
  const page = HEAD + sections.join('')
  if (process.env.WRITE_DOCS === '1') await writeFile(PAGE, page)
  assert.equal(
    await readFile(PAGE, 'utf8'),
    page,
    'stale: WRITE_DOCS=1 npm test -- --unit packages/stream-ingest/test/docs/json-reference.test.ts',
  )
})
