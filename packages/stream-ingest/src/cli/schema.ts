/**
 * `stream-ingest schema`: the JSON Schema of the configuration, for editors.
 *
 * @module
 */
import { createJsonSchema } from '../config/json-schema.ts'
import { EXIT_CODES } from '../error.ts'
import { type CommandIo, writeText } from './command-io.ts'

/** @returns the exit code */
export async function schemaCommand(io: CommandIo): Promise<number> {
  await writeText(io.stdout, `${JSON.stringify(createJsonSchema(), null, 2)}\n`)
  return EXIT_CODES.ok
}
