/**
 * The one JSON document that a verb prints under `--json`: 64-bit numbers as exact JSON integers.
 *
 * @module
 */
import { formatJson } from '@stream-ingest/delta'

/** One line with a final newline. */
export function formatJsonDocument(document: unknown): string {
  return `${formatJson(document)}\n`
}
