import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { compileWasm, WASM_MODULE, WASM_TEXT } from '../build-wasm.ts'

test('the compiled decoders are those of block-decoder.wat', async () => {
  assert.equal(await readFile(WASM_MODULE, 'utf8'), await compileWasm(WASM_TEXT), 'run `npm run build:wasm`')
})
