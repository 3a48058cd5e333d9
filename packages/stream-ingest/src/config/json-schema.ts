/**
 * The JSON Schema (draft-07, the newest that YAML editors read) of the configuration, from its declarations.
 *
 * @module
 */
import type { JsonSchema } from './field-type.ts'
import { ALL_SECTIONS, rootSection } from './read-config.ts'
import { DATA_TYPE_SCHEMA } from './schema-field.ts'
import type { AnySection, FieldSpec } from './section.ts'

/**
 * What an editor completes and checks. Looser than reading in two ways: a scalar may be a variable, and a pipeline's
 * section may leave out what the top level gives, so that keys are required in reading alone.
 */
export function createJsonSchema(): JsonSchema {
  const definitions: Record<string, JsonSchema> = {}
  for (const spec of ALL_SECTIONS) definitions[definitionName(spec.name)] = sectionSchema(spec)
  definitions.data_type = DATA_TYPE_SCHEMA
  const sections = { ...sectionReferences(['kafka', 's3', 'local', 'delta', 'processing', 'freshness']) }
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Stream Ingest configuration',
    type: 'object',
    additionalProperties: false,
    properties: {
      version: { const: 1, description: describe(rootSection.fields.version) },
      ...sections,
      pipelines: {
        description: describe(rootSection.fields.pipelines),
        type: 'object',
        additionalProperties: {
          anyOf: [{ type: 'object', additionalProperties: false, properties: sections }, { type: 'null' }],
        },
      },
      tests: fieldSchema(rootSection.fields.tests as FieldSpec<unknown>),
    },
    definitions,
  }
}

function sectionReferences(names: readonly string[]): Record<string, JsonSchema> {
  return Object.fromEntries(names.map(name => [name, reference(name)]))
}

function reference(name: string): JsonSchema {
  return { $ref: `#/definitions/${definitionName(name)}` }
}

/** `kafka.sasl` is `kafka_sasl`, an entry of `delta.schema` is `schema_field`. */
function definitionName(name: string): string {
  if (name === 'delta.schema') return 'schema_field'
  return name.replaceAll('.', '_').replace(/_\*$/, '_entry')
}

function sectionSchema(spec: AnySection): JsonSchema {
  const fields = Object.entries(spec.fields as Readonly<Record<string, FieldSpec<unknown>>>)
  return {
    description: spec.description,
    type: ['object', 'null'],
    additionalProperties: false,
    properties: Object.fromEntries(fields.map(([key, field]) => [key, fieldSchema(field)])),
    // Sections of the top level may be completed by each pipeline; what is inside them is whole.
    ...(spec.name.includes('.') ? { required: requiredKeys(fields) } : {}),
  }
}

function requiredKeys(fields: readonly [string, FieldSpec<unknown>][]): string[] {
  return fields.filter(([, field]) => field.presence === 'required').map(([key]) => key)
}

function fieldSchema(field: FieldSpec<unknown>): JsonSchema {
  const schema = resolveSections(field.type.jsonSchema) as JsonSchema
  const { defaultValue } = field
  const isPlain = ['string', 'number', 'boolean'].includes(typeof defaultValue)
  return {
    description: describe(field),
    ...(isPlain ? { default: defaultValue } : {}),
    // Draft-07 ignores what stands beside a reference.
    ...('$ref' in schema ? { allOf: [schema] } : schema),
  }
}

function describe(field: Pick<FieldSpec<never>, 'description' | 'later'>): string {
  const { later, description } = field
  if (later === undefined) return description
  return `${description} ${later === 'all' ? 'Comes' : `${later.label}: comes`} in a later release.`
}

/** Types name other sections by `$section`: they do not know where the schema puts them. */
function resolveSections(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(resolveSections)
  if (typeof schema !== 'object' || schema === null) return schema
  if ('$section' in schema) return reference(String(schema.$section))
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, resolveSections(value)]))
}
