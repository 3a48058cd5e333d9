/**
 * The page index of a column chunk: bounds of its pages, and where they are.
 *
 * PageIndex.md; parquet.thrift › ColumnIndex, OffsetIndex. Field numbers and names stand beside the calls that write them.
 *
 * @module
 */
import { type Bounds, boundBytes, compareBounds, truncateMax, truncateMin } from './bounds.ts'
import type { ChunkSummary } from './column-chunk.ts'
import type { Leaf } from './schema-element.ts'
import { ThriftWriter } from './thrift.ts'

/** The bounds of a page in the column index need not be exact: longer ones are cut. */
const COLUMN_INDEX_BOUND_MAX_BYTES = 64

/** parquet.thrift › BoundaryOrder. */
const BOUNDARY_ORDER_IDS = { UNORDERED: 0, ASCENDING: 1, DESCENDING: 2 } as const

export interface PageLocation {
  /** In the file, of the page header. */
  readonly offset: number
  /** Header included. */
  readonly compressedSizeBytes: number
  /** In the row group. */
  readonly firstRow: number
}

/** The ColumnIndex; null where a page has values but no bounds: such a page could not be told from others. */
export function formatColumnIndex(chunk: ChunkSummary): Uint8Array | null {
  const { pages, leaf } = chunk
  const bounds: Bounds[] = []
  for (const page of pages) {
    if (page.isNullPage) continue
    const cut = page.bounds === null ? null : cutBounds(page.bounds, leaf)
    if (cut === null) return null
    bounds.push(cut)
  }
  let next = 0
  const places = pages.map(page => (page.isNullPage ? null : bounds[next++]!))
  const thrift = new ThriftWriter()
  thrift.struct(() => {
    thrift.bools(
      1, // null_pages
      pages.map(page => page.isNullPage),
    )
    thrift.binaries(
      2, // min_values
      places.map(page => (page === null ? NOTHING : boundBytes(page.min, leaf))),
    )
    thrift.binaries(
      3, // max_values
      places.map(page => (page === null ? NOTHING : boundBytes(page.max, leaf))),
    )
    thrift.i32(4, BOUNDARY_ORDER_IDS[boundaryOrder(bounds, leaf)]) // boundary_order
    thrift.i64s(
      5, // null_counts
      pages.map(page => page.nullCount),
    )
  })
  return thrift.take()
}

/** Bounds as the column index has them; null where no short one is above the largest value. */
function cutBounds({ min, max }: Bounds, leaf: Leaf): Bounds | null {
  if (!(min instanceof Uint8Array && max instanceof Uint8Array)) return { min, max }
  const cutMax = truncateMax(max, COLUMN_INDEX_BOUND_MAX_BYTES, leaf)
  return cutMax === null ? null : { min: truncateMin(min, COLUMN_INDEX_BOUND_MAX_BYTES, leaf), max: cutMax }
}

/** The OffsetIndex. */
export function formatOffsetIndex(pages: readonly PageLocation[]): Uint8Array {
  const thrift = new ThriftWriter()
  thrift.struct(() => {
    // page_locations: 1 offset, 2 compressed_page_size, 3 first_row_index
    thrift.structs(1, pages, page => {
      thrift.i64(1, page.offset)
      thrift.i32(2, page.compressedSizeBytes)
      thrift.i64(3, page.firstRow)
    })
  })
  return thrift.take()
}

/** Whether both the mins and the maxs of the pages with values go up, or both go down. */
function boundaryOrder(bounds: readonly Bounds[], leaf: Leaf): keyof typeof BOUNDARY_ORDER_IDS {
  const isOrdered = (direction: 1 | -1): boolean =>
    bounds.every((page, i) => {
      const before = bounds[i - 1] ?? page
      return (
        compareBounds(before.min, page.min, leaf) * direction <= 0 &&
        compareBounds(before.max, page.max, leaf) * direction <= 0
      )
    })
  if (isOrdered(1)) return 'ASCENDING'
  return isOrdered(-1) ? 'DESCENDING' : 'UNORDERED'
}

const NOTHING = new Uint8Array(0)
