/**
 * Arrow-layout columns and their builders.
 *
 * @module
 */
export * from './append-value.ts'
export { Arena } from './arena.ts'
export * from './bitmap.ts'
export * from './cast.ts'
export * from './column.ts'
export * from './column-builder.ts'
export * from './evolve-builder.ts'
export { freeBytes } from './free-bytes.ts'
export * from './gather.ts'
export { SpareBuffer } from './spare-buffer.ts'
export * from './value.ts'
