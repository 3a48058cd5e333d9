/**
 * CRC-32C (Castagnoli), the checksum of record batches.
 *
 * @module
 */
import { createRequire } from 'node:module'
import { crc32c as wasmCrc32c } from '@platformatic/wasm-utils'

/** Returns the checksum as an unsigned 32-bit number. */
export const crc32c: (bytes: Uint8Array) => number = loadNative() ?? wasmCrc32c

/**
 * The native module uses the processor's CRC instruction: 15 GB/s against 1.9 GB/s of WASM, which counts for
 * uncompressed batches. It is optional: a bundle for Lambda goes without.
 */
function loadNative(): ((bytes: Uint8Array) => number) | null {
  try {
    const module = createRequire(import.meta.url)('@node-rs/crc32') as { crc32c(bytes: Uint8Array): number }
    return bytes => module.crc32c(bytes) >>> 0
  } catch {
    return null
  }
}
