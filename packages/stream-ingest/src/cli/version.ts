/**
 * The release, as `--version` says it.
 *
 * @module
 */

export const VERSION = '0.1.0'
