/**
 * The shells that words are completed for; apart, so that reading a command line loads no script.
 *
 * @module
 */

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]
