/**
 * Arrow-layout columns and their builders.
 *
 * @module
 */
export * from './column.ts'
export * from './column-builder.ts'
