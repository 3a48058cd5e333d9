/**
 * What the dev stack says when a part cannot be had or does not work.
 *
 * @module
 */

/** A program that a part needs (Java, Maven, Python) is not on this machine: the part is left out, with this reason. */
export class PartUnavailableError extends Error {
  override readonly name = 'PartUnavailableError'
}

/** A part that could be had failed: it did not install, did not start, or did not answer. */
export class StackError extends Error {
  override readonly name = 'StackError'
}
