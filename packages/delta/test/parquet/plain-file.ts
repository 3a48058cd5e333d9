/**
 * A Parquet file of a store as `hyparquet` alone reads it: for tests of what files hold, not of how we read them.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { parquetReadObjects, type SchemaElement } from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import type { ObjectStore } from '../../src/store/object-store.ts'
import { arrayBufferOf, fileMetadata, rawParsers } from './read-back.ts'

/** Timestamps in their own unit, dates as days, maps as objects. */
export async function plainRows(store: ObjectStore, key: string): Promise<Record<string, unknown>[]> {
  const file = arrayBufferOf(await bytesOf(store, key))
  return parquetReadObjects({ file, compressors, parsers: rawParsers as never })
}

/** Of every node of the schema, the root left out: names joined by dots. */
export async function columnPaths(store: ObjectStore, key: string): Promise<ReadonlySet<string>> {
  const { schema } = fileMetadata(await bytesOf(store, key))
  const paths = new Set<string>()
  let next = 1
  const walk = ({ num_children: count = 0 }: SchemaElement, parent: string): void => {
    for (let i = 0; i < count; i++) {
      const element = schema[next++]!
      const path = parent === '' ? element.name : `${parent}.${element.name}`
      paths.add(path)
      walk(element, path)
    }
  }
  walk(schema[0]!, '')
  return paths
}

async function bytesOf(store: ObjectStore, key: string): Promise<Uint8Array> {
  const bytes = await store.get(key)
  assert(bytes !== null, `${key} is not there`)
  return bytes
}
