/**
 * Page compression.
 *
 * Compression.md. zstd and gzip are Node's own; snappy and lz4 are WASM, measured faster than the native packages.
 *
 * @module
 */
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { lz4Compress, snappyCompress } from '@platformatic/wasm-utils'
import { lz4BlockOfFrame } from './lz4.ts'
import type { ParquetCodec } from './parquet-encoder.ts'

/** parquet.thrift › CompressionCodec. */
export const CODEC_IDS: Readonly<Record<ParquetCodec, number>> = {
  none: 0,
  snappy: 1,
  gzip: 2,
  zstd: 6,
  lz4_raw: 7,
}

/** Compresses a page of at least one byte. What it returns may be the page itself. */
export type PageCompressor = (page: Uint8Array) => Uint8Array

export function createPageCompressor(codec: ParquetCodec, level?: number): PageCompressor {
  switch (codec) {
    case 'none':
      return page => page
    case 'snappy':
      return page => snappyCompress(asBuffer(page))
    case 'lz4_raw':
      return page => lz4BlockOfFrame(lz4Compress(asBuffer(page)))
    case 'gzip': {
      const options = level === undefined ? {} : { level }
      return page => gzipSync(page, options)
    }
    case 'zstd': {
      const options = level === undefined ? {} : { params: { [constants.ZSTD_c_compressionLevel]: level } }
      return page => zstdCompressSync(page, options)
    }
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
