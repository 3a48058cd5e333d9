import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { checkConfigText } from '../../src/config/config.ts'
import { createJsonSchema } from '../../src/config/json-schema.ts'
import { ALL_SECTIONS } from '../../src/config/read-config.ts'
import { createReference } from '../../src/config/reference.ts'
import type { FieldSpec } from '../../src/config/section.ts'
import { EVERY_KEY_YAML, USER_EVENTS_YAML } from './example-config.ts'

const DOCS = new URL('../../../../docs/reference/', import.meta.url)
const EXAMPLE_CONTEXT = { environment: {}, readFile: () => '' }
const STALE = 'run `node --conditions=source scripts/generate-docs.mjs`'

type Schema = { readonly [key: string]: unknown }

/** Enough of draft-07 for the schema that we make. Returns the first violation. */
function violation(schema: Schema, value: unknown, root: Schema, path = '$'): string | null {
  const { $ref, anyOf, allOf, type, enum: values, properties, additionalProperties, required, items } = schema
  if (typeof $ref === 'string') {
    const target = (root.definitions as Record<string, Schema>)[$ref.replace('#/definitions/', '')]
    return target === undefined ? `${path}: no definition ${$ref}` : violation(target, value, root, path)
  }
  for (const each of (allOf ?? []) as Schema[]) {
    const found = violation(each, value, root, path)
    if (found !== null) return found
  }
  if (Array.isArray(anyOf)) {
    const found = (anyOf as Schema[]).map(each => violation(each, value, root, path))
    if (found.every(each => each !== null)) return found.join(' | ')
  }
  const actual =
    value === null
      ? 'null'
      : Array.isArray(value)
        ? 'array'
        : Number.isInteger(value)
          ? 'integer'
          : typeof value
  const types = type === undefined ? null : [type].flat()
  if (types !== null && !types.includes(actual) && !(actual === 'integer' && types.includes('number')))
    return `${path}: ${actual}`
  if (Array.isArray(values) && !values.includes(value)) return `${path}: not in enum`
  if ('const' in schema && schema.const !== value) return `${path}: not const`
  if (
    typeof value === 'string' &&
    typeof schema.pattern === 'string' &&
    !new RegExp(schema.pattern).test(value)
  )
    return `${path}: pattern`
  if (actual === 'array' && items !== undefined) {
    for (const [index, each] of (value as unknown[]).entries()) {
      const found = violation(items as Schema, each, root, `${path}[${index}]`)
      if (found !== null) return found
    }
  }
  if (actual !== 'object') return null
  for (const key of (required ?? []) as string[])
    if (!Object.hasOwn(value as object, key)) return `${path}: no ${key}`
  for (const [key, each] of Object.entries(value as object)) {
    const declared = (properties as Record<string, Schema> | undefined)?.[key] ?? additionalProperties
    if (declared === false) return `${path}: ${key}`
    const found =
      typeof declared === 'object' ? violation(declared as Schema, each, root, `${path}.${key}`) : null
    if (found !== null) return found
  }
  return null
}

describe('the JSON Schema', () => {
  const schema = createJsonSchema()

  test('takes what the configuration takes', () => {
    for (const text of [USER_EVENTS_YAML, EVERY_KEY_YAML, ...fences(createReference())]) {
      assert.equal(violation(schema, parse(text), schema), null)
    }
  })

  test('refuses unknown keys, wrong types and words', () => {
    for (const [text, path] of [
      ['kafak: {}', '$: kafak'],
      ['kafka: { topc: a }', '$.kafka: topc'],
      ['kafka: { isolation_level: none }', /^\$\.kafka\.isolation_level/],
      ['processing: { batch_size: a }', /^\$\.processing\.batch_size/],
      ['kafka: { sasl: { username: a } }', /^\$\.kafka\.sasl: no mechanism/],
    ] as const) {
      const found = violation(schema, parse(text), schema) ?? ''
      if (typeof path === 'string') assert.equal(found, path)
      else assert.match(found, path)
    }
  })

  test('holds every key with its description', () => {
    const text = JSON.stringify(schema)
    for (const spec of ALL_SECTIONS) {
      for (const [key, field] of Object.entries(spec.fields as Record<string, FieldSpec<unknown>>)) {
        assert(text.includes(JSON.stringify(key)), key)
        assert(field.description.endsWith('.'), `${spec.name}.${key}`)
        assert(text.includes(JSON.stringify(field.description).slice(1, -1)), `${spec.name}.${key}`)
      }
    }
    assert(!text.includes('$section'))
  })

  test('is the file of the documentation', async () => {
    const file = await readFile(new URL('config.schema.json', DOCS), 'utf8')
    assert.deepEqual(JSON.parse(file), JSON.parse(JSON.stringify(schema)), STALE)
  })
})

/** YAML fences that are whole files. */
function fences(markdown: string): string[] {
  return [...markdown.matchAll(/```yaml\n(.*?)```/gs)]
    .map(match => match[1] as string)
    .filter(text => text.startsWith('kafka:'))
}

describe('the reference', () => {
  test('is the file of the documentation', async () => {
    assert.equal(await readFile(new URL('config.md', DOCS), 'utf8'), createReference(), STALE)
  })

  test('shows files that load', () => {
    const shown = fences(createReference())
    assert.equal(shown.length, 2)
    for (const text of shown) assert.deepEqual(checkConfigText(text, { environment: {} }).diagnostics, [])
  })

  test('has examples that their keys take', () => {
    for (const spec of ALL_SECTIONS.filter(each => !each.name.includes('.'))) {
      for (const [key, field] of Object.entries(spec.fields as Record<string, FieldSpec<unknown>>)) {
        if (field.example === undefined) continue
        const text = `${spec.name}:\n  ${key}: ${field.example}\n`
        const found = checkConfigText(text, EXAMPLE_CONTEXT).diagnostics.filter(
          // An example alone may lack the key that it goes with.
          each => each.line === 2 && each.code !== 'CONFIG_CONFLICT',
        )
        assert.deepEqual(found, [], text)
      }
    }
  })
})
