/**
 * `npm run build:wasm`: the WebAssembly modules of the sources, from their text. A test fails where one is stale.
 *
 * @module
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import createWabt from 'wabt'

const FOLDER = new URL('../packages/stream-ingest/src/kafka/', import.meta.url)
export const WASM_TEXT: string = fileURLToPath(new URL('block-decoder.wat', FOLDER))
export const WASM_MODULE: string = fileURLToPath(new URL('block-decoder-module.ts', FOLDER))

/** The TypeScript module that holds the compiled one. */
export async function compileWasm(textFile: string): Promise<string> {
  const wabt = await createWabt()
  const parsed = wabt.parseWat('block-decoder.wat', await readFile(textFile, 'utf8'), { simd: true })
  try {
    parsed.validate()
    const { buffer } = parsed.toBinary({})
    return `/** block-decoder.wat, compiled and in base64: written by \`npm run build:wasm\`. */
export const BLOCK_DECODER_WASM =
  '${Buffer.from(buffer).toString('base64')}'
`
  } finally {
    parsed.destroy()
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await writeFile(WASM_MODULE, await compileWasm(WASM_TEXT))
}
