/**
 * A pipeline whose messages add to its table's schema: under which layout it decodes, and what the table allows.
 *
 * @module
 */
import { type StructType, type TableState, tableProperty } from '@stream-ingest/delta'
import type { PipelineConfig } from '../config/ingest-config.ts'
import { mergedTableLayout, unfilledNames } from '../config/merged-layout.ts'
import { adoptTableSchema, resolveTableLayout, type TableLayout } from '../config/table-layout.ts'
import type { MergeRules } from '../decode/schema-inference.ts'
import { ConfigError } from '../error.ts'
import type { AskMergeRules } from './merging-rows.ts'

/**
 * The columns that messages are decoded to: the configured ones, or those of the table where none are declared; under
 * `merge_schema` both, so that columns which messages have added before are filled again.
 *
 * @param table null where there is none
 * @throws ConfigError where neither the configuration nor a table has a schema, or the two do not fit
 */
export function decodeLayout({ name, delta }: PipelineConfig, table: StructType | null): TableLayout {
  if (delta.mergeSchema) return mergedTableLayout(delta, table)
  if (delta.schema !== null) return resolveTableLayout(delta)
  if (table !== null) return resolveTableLayout(adoptTableSchema(delta, table))
  throw new ConfigError(
    'CONFIG_INVALID',
    `pipeline \`${name}\` declares no \`delta.schema\`, and the table \`${delta.tableName}\` does not exist`,
    { hint: 'declare `delta.schema`, set `delta.merge_schema: true`, or create the table first' },
  )
}

/** The layout to go on with after the table was read again: the one that there is, where messages do not change it. */
export function layoutFor(config: PipelineConfig, layout: TableLayout, { schema }: TableState): TableLayout {
  return config.delta.mergeSchema ? decodeLayout(config, schema) : layout
}

/**
 * What messages may do to the schema of the table as it is when they come; null where that is nothing.
 *
 * @param table null where there is none
 */
export function askMergeRules(
  { delta }: PipelineConfig,
  table: { readonly state: TableState } | null,
): AskMergeRules | null {
  if (!delta.mergeSchema) return null
  return () => (table === null ? NO_TABLE : mergeRulesOf(table.state))
}

const NO_TABLE: MergeRules = { typeWidening: false, columnMapping: false, unfilled: new Set() }

/** PROTOCOL.md › Type Widening, › Column Mapping. */
function mergeRulesOf({ protocol, schema, metadata: { configuration } }: TableState): MergeRules {
  const features = protocol.writerFeatures ?? []
  const canWiden = features.some(name => name === 'typeWidening' || name === 'typeWidening-preview')
  return {
    typeWidening: canWiden && tableProperty(configuration, 'delta.enableTypeWidening'),
    columnMapping: tableProperty(configuration, 'delta.columnMapping.mode') !== 'none',
    unfilled: unfilledNames(schema),
  }
}
