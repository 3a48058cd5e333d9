/**
 * What an error of the file system means for whoever uses a local store.
 *
 * @module
 */
import { type DeltaErrorCode, DeltaLakeError } from '../error.ts'

interface LocalErrorKind {
  readonly code: DeltaErrorCode
  readonly hint?: string
}

const KINDS: Readonly<Record<string, LocalErrorKind>> = {
  EACCES: { code: 'STORE_ACCESS_DENIED', hint: 'give this user the permission on the named path' },
  EPERM: { code: 'STORE_ACCESS_DENIED', hint: 'give this user the permission on the named path' },
  EROFS: {
    code: 'STORE_ACCESS_DENIED',
    hint: 'the file system is mounted read-only: mount it writable, or choose another path',
  },
  ENOSPC: { code: 'STORE_NO_SPACE' },
  EDQUOT: { code: 'STORE_NO_SPACE', hint: "raise the user's quota, or free space" },
  EMFILE: { code: 'STORE_UNAVAILABLE', hint: "raise the process's limit of open files (`ulimit -n`)" },
  ENFILE: { code: 'STORE_UNAVAILABLE', hint: "raise the system's limit of open files" },
  ENAMETOOLONG: { code: 'STORE_KEY_INVALID', hint: 'a file name holds at most 255 bytes' },
  EISDIR: {
    code: 'STORE_KEY_INVALID',
    hint: 'a folder has this name: files cannot hold both `x` and `x/y`',
  },
  ENOTEMPTY: {
    code: 'STORE_KEY_INVALID',
    hint: 'a folder has this name: files cannot hold both `x` and `x/y`',
  },
  // From mkdir: `putIfAbsent` takes it from link as its answer.
  EEXIST: {
    code: 'STORE_KEY_INVALID',
    hint: 'a part of the path is a file: files cannot hold both `x` and `x/y`',
  },
  ENOTDIR: {
    code: 'STORE_KEY_INVALID',
    hint: 'a part of the path is a file: files cannot hold both `x` and `x/y`',
  },
}

/** What `link` answers where the file system has no hard links. */
const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/** The operating system's name of the error, such as `ENOENT`; undefined for what is none of its errors. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('syscall' in error)) return undefined
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** The error to throw for a failed file operation; anything that did not come from the system is returned as it is. */
export function explainLocalError(error: unknown, operation: string, path: string): unknown {
  const errno = errnoOf(error)
  if (errno === undefined) return error
  const kind = KINDS[errno]
  const message = `cannot ${operation} \`${path}\`: ${(error as Error).message}`
  return new DeltaLakeError(kind?.code ?? 'STORE_REQUEST_FAILED', message, {
    ...(kind?.hint === undefined ? {} : { hint: kind.hint }),
    context: { operation, path, errno },
    cause: error,
  })
}

/** As {@link explainLocalError} for the link that makes a conditional put atomic. */
export function explainLinkError(error: unknown, path: string): unknown {
  const errno = errnoOf(error)
  if (errno === undefined || !NO_LINKS.has(errno)) return explainLocalError(error, 'create', path)
  return new DeltaLakeError(
    'STORE_NOT_ATOMIC',
    `the file system of \`${path}\` has no hard links (${errno}), by which a commit is made at most once`,
    { hint: 'put the table on a file system with hard links', context: { path, errno }, cause: error },
  )
}
