/**
 * What a failed invocation tells its caller: Lambda passes on an error's name and message, and nothing else of it.
 *
 * @module
 */
import { StreamIngestError } from '../error.ts'

/** An error of the same name, with code and hint in its message. */
export class InvocationError extends Error {
  override readonly name: string

  /** @param others further messages, such as those of other pipelines */
  constructor(error: StreamIngestError, others: readonly string[] = []) {
    const more = others.length === 0 ? '' : `; and ${others.join('; ')}`
    super(`${error.code}: ${error.message} (${error.hint})${more}`, { cause: error })
    this.name = error.name
  }

  static from(thrown: unknown): InvocationError {
    return thrown instanceof InvocationError ? thrown : new InvocationError(StreamIngestError.from(thrown))
  }
}
