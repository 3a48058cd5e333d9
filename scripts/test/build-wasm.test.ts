import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { test } from 'node:test'
import { WASM_MODULES } from '../build-wasm.ts'

for (const { path, compile } of WASM_MODULES) {
  test(`${basename(path)} is what its source compiles to`, async () => {
    assert.equal(await readFile(path, 'utf8'), await compile(), 'run `npm run build:wasm`')
  })
}
