import { MemoryObjectStore } from '@stream-ingest/delta'
import { openParquet, type ParquetFile } from '../../src/parquet/parquet-reader.ts'

/** The bytes of a file as a file that is open. */
export async function openFile(bytes: Uint8Array): Promise<ParquetFile> {
  const store = new MemoryObjectStore()
  await store.put('a.parquet', bytes)
  return openParquet(store, 'a.parquet', { sizeBytes: bytes.length })
}
