/**
 * Where the bytes of a file of the table are: in the table's own store, or, for shallow clones and converted tables, in
 * another place that the log names by its full address.
 *
 * @module
 */
import { DeltaLakeError } from './error.ts'
import { decodeFilePath, locateFile } from './file-path.ts'
import type { ObjectStore } from './store/object-store.ts'

/** Opens the store of a folder outside of the table, by its address: `s3://bucket/folder`, `file:///folder`. */
export type OpenForeignStore = (folderUri: string) => ObjectStore

export interface FileSource {
  readonly store: ObjectStore
  readonly key: string
}

/**
 * The object behind the path of an `add` or of a deletion vector. Makes no request.
 *
 * @throws DeltaLakeError `DELTA_FILE_OUTSIDE` for a file outside of the table where no `openForeign` is given,
 *   `DELTA_LOG_CORRUPT` for a path that is none
 */
export function dataFileSource(path: string, table: ObjectStore, openForeign?: OpenForeignStore): FileSource {
  const location = locateFile(path, table.uri)
  if (location.kind === 'key') return { store: table, key: location.key }
  if (openForeign === undefined) {
    throw new DeltaLakeError(
      'DELTA_FILE_OUTSIDE',
      `the file \`${path}\` lies outside of the table ${table.uri}`,
      {
        context: { table: table.uri, file: path },
      },
    )
  }
  const uri = decodeFilePath(location.uri)
  const slash = uri.lastIndexOf('/')
  return { store: openForeign(uri.slice(0, slash)), key: uri.slice(slash + 1) }
}
