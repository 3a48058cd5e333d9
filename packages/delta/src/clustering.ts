/**
 * The columns that a table is clustered by: a writer gives them statistics, and leaves clustering to those who do it.
 *
 * PROTOCOL.md › Clustered Table. The specification's example names top-level columns by text; engines write paths as
 * lists of names, which is the only way to name a nested one. Both are read. Names are physical.
 *
 * @module
 */
import type { DomainMetadata } from './action.ts'
import { isJsonObject, parseJson } from './json.ts'

const CLUSTERING_DOMAIN = 'delta.clustering'

/** Physical paths; empty where the table is not clustered, or says so in a way that is not known. */
export function clusteringColumns(
  domains: ReadonlyMap<string, DomainMetadata>,
): readonly (readonly string[])[] {
  const text = domains.get(CLUSTERING_DOMAIN)?.configuration
  if (text === undefined) return []
  let json: unknown
  try {
    json = parseJson(text)
  } catch {
    return []
  }
  if (!isJsonObject(json) || !Array.isArray(json.clusteringColumns)) return []
  return json.clusteringColumns.flatMap((column: unknown) => {
    if (typeof column === 'string') return [[column]]
    return Array.isArray(column) && column.every(name => typeof name === 'string') ? [column as string[]] : []
  })
}
