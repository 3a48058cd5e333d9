/**
 * Where a table is.
 *
 * @module
 */
import type { S3Config } from './ingest-config.ts'

/** `s3://bucket/prefix/table`, or a path of the file system, relative where the configured one is. */
export function tablePath(s3: S3Config, tableName: string): string {
  if (s3.kind === 'local') return `${s3.path.replace(/(?<=.)\/+$/, '')}/${tableName}`.replace(/^\/\//, '/')
  return s3.prefix === '' ? `s3://${s3.bucket}/${tableName}` : `s3://${s3.bucket}/${s3.prefix}/${tableName}`
}
