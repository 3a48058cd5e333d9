import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  outsideWorldReads,
  shapelessFiles,
  sourceFiles,
  undeclaredImports,
} from '../../../scripts/source-rules.ts'

const files = sourceFiles(new URL('../src/', import.meta.url))

test('the Delta library imports its own files and its own dependencies, so nothing of the product', () => {
  assert.deepEqual(undeclaredImports(files, new URL('../package.json', import.meta.url)), [])
  const outside = files.flatMap(file =>
    file.imports.filter(specifier => specifier.startsWith('../'.repeat(file.path.split('/').length))),
  )
  assert.deepEqual(outside, [])
})

test('the Delta library is handed its clock, its chance and its environment', () => {
  assert.deepEqual(outsideWorldReads(files, []), [])
})

test('every source file of the Delta library is short and named after what it holds', () => {
  assert.deepEqual(shapelessFiles(files), [])
})
