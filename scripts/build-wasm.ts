/**
 * `npm run build:wasm`: the WebAssembly modules of the sources, from their text. A test fails where one is stale.
 *
 * @module
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { main as compileAssembly } from 'assemblyscript/asc'
import createWabt from 'wabt'

const PACKAGE = new URL('../packages/stream-ingest/', import.meta.url)

export interface WasmModule {
  /** The TypeScript module that holds the compiled one. */
  readonly path: string
  /** What that has to be. */
  compile(): Promise<string>
}

export const WASM_MODULES: readonly WasmModule[] = [
  {
    path: pathOf('src/kafka/block-decoder-module.ts'),
    compile: async () =>
      moduleText('block-decoder.wat', 'BLOCK_DECODER_WASM', await compileWat('src/kafka/block-decoder.wat')),
  },
  {
    path: pathOf('src/decode/kernel-module.ts'),
    compile: async () =>
      moduleText('assembly/', 'KERNEL_WASM', await compileAssemblyScript('assembly/kernel.ts')),
  },
]

async function compileWat(file: string): Promise<Uint8Array> {
  const wabt = await createWabt()
  const parsed = wabt.parseWat(file, await readFile(pathOf(file), 'utf8'), { simd: true })
  try {
    parsed.validate()
    return parsed.toBinary({}).buffer
  } finally {
    parsed.destroy()
  }
}

/** Without a runtime: the kernel allocates nothing. */
async function compileAssemblyScript(file: string): Promise<Uint8Array> {
  const options = [
    '-O3',
    '--converge',
    '--noAssert',
    '--runtime',
    'stub',
    '--enable',
    'simd',
    '--outFile',
    'out',
  ]
  let compiled: Uint8Array | null = null
  const { error, stderr } = await compileAssembly([file, '--baseDir', pathOf('.'), ...options], {
    writeFile: (name, content) => {
      if (name === 'out' && typeof content !== 'string') compiled = content
    },
  })
  if (error !== null || compiled === null) throw new Error(`${file}:\n${stderr.toString()}`, { cause: error })
  return compiled
}

function moduleText(source: string, name: string, compiled: Uint8Array): string {
  return `/** ${source}, compiled and in base64: written by \`npm run build:wasm\`. */
export const ${name} =
  '${Buffer.from(compiled).toString('base64')}'
`
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, PACKAGE))
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const { path, compile } of WASM_MODULES) await writeFile(path, await compile())
}
