/**
 * Page decompression for reading: Node's own codecs, and WebAssembly for those that Node has not.
 *
 * @module
 */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib'
import type { Compressors } from 'hyparquet'
import { compressors as wasmCompressors } from 'hyparquet-compressors'

/** By Parquet codec. The output is never longer than the page header says. */
export const DECOMPRESSORS: Compressors = {
  ...wasmCompressors,
  GZIP: (input, outputLength) => gunzipSync(input, { maxOutputLength: Math.max(1, outputLength) }),
  ZSTD: (input, outputLength) => zstdDecompressSync(input, { maxOutputLength: Math.max(1, outputLength) }),
  BROTLI: (input, outputLength) =>
    brotliDecompressSync(input, { maxOutputLength: Math.max(1, outputLength) }),
}
