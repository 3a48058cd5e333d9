/**
 * The independent readers of the development stack, as a round trip asks them.
 *
 * @module
 */
import {
  isFailure,
  type ReaderEngine,
  type ReaderPrograms,
  TableReaders,
} from '../../../../scripts/stack/readers.ts'
import { columnMappingMode } from '../../src/column-mapping.ts'
import type { TableState } from '../../src/table-state.ts'
import type { Content, OtherReaders } from './round-trip.ts'

/** Started with the first table; to be closed. */
export class IndependentReaders implements OtherReaders {
  readonly #readers: TableReaders

  constructor(programs: ReaderPrograms) {
    this.#readers = new TableReaders(programs)
  }

  get engines(): readonly string[] {
    return this.#readers.engines
  }

  excuse(engine: string, { metadata }: TableState): string | null {
    const isMapped = columnMappingMode(metadata) !== 'none'
    if (engine === 'duckdb' && isMapped && metadata.partitionColumns.length > 0) {
      return 'gives the partition columns of a column-mapped table as null (Delta extension 45c4087)'
    }
    return null
  }

  async read(
    folder: string,
    appId: string,
    engines: readonly string[],
  ): Promise<ReadonlyMap<string, Content | { readonly error: string }>> {
    const request = { uri: folder, appIds: [appId], contentHash: true }
    const answers = await this.#readers.read(request, engines as readonly ReaderEngine[])
    const seen = new Map<string, Content | { readonly error: string }>()
    for (const answer of answers) {
      if (isFailure(answer)) {
        seen.set(answer.engine, { error: firstLine(answer.error) })
        continue
      }
      const { engine, rowCount, contentHash = '', txns } = answer
      const txn = txns[appId] ?? null
      seen.set(engine, { rowCount, hash: contentHash, txn: txn === null ? null : BigInt(txn) })
    }
    return seen
  }

  close(): Promise<void> {
    return this.#readers.close()
  }
}

function firstLine(text: string): string {
  return text.trim().split('\n')[0]!.slice(0, 300)
}
