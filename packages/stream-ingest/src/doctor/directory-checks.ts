/**
 * A lake in a directory: is there one, may it be written, does it have space?
 *
 * @module
 */
import { constants } from 'node:fs'
import { access, rmdir, stat, statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { S3Error } from '../error.ts'
import { formatBytes } from '../observe/format.ts'
import type { Checkup, Found } from './checkup.ts'

/** Less free space is worth a word: a few commits of the default file size. */
const FREE_WARN_BYTES = 1 << 30
const FREE_MIN_BYTES = 16 << 20
/** Directories that a path is looked up through. */
const DEPTH_MAX = 256

/** Bytes that this user may still write in the file system of a directory. */
export type FreeBytes = (directory: string) => Promise<number>

export const systemFreeBytes: FreeBytes = async directory => {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}

export async function checkDirectory(checkup: Checkup, path: string, freeBytes: FreeBytes): Promise<void> {
  const directory = resolve(path)
  const found = await checkup.run('directory', async () => {
    const existing = await nearestDirectory(directory)
    const isThere = existing === directory
    await access(existing, constants.R_OK | constants.W_OK | constants.X_OK).catch((cause: unknown) => {
      throw new S3Error(
        'STORE_ACCESS_DENIED',
        `the directory \`${existing}\` may not be written by this user`,
        {
          hint: `give this user the permission to write in \`${existing}\`, or change \`local.path\``,
          cause,
        },
      )
    })
    return { value: existing, message: isThere ? directory : `${directory}: the first run creates it` }
  })
  if (found === null) return
  await checkup.run('free space', async (): Promise<Found<null>> => {
    const free = await freeBytes(found.value)
    const message = `${formatBytes(free)} are free in the file system of \`${found.value}\``
    if (free < FREE_MIN_BYTES) throw new S3Error('STORE_NO_SPACE', message)
    if (free < FREE_WARN_BYTES) return { value: null, warning: { code: 'STORE_NO_SPACE', message } }
    return { value: null, message: formatBytes(free) }
  })
}

/** The directory, or the first above it that there is. */
export async function nearestDirectory(directory: string): Promise<string> {
  let existing = directory
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    const info = await stat(existing).catch(() => null)
    if (info?.isDirectory() === true) return existing
    if (info !== null) {
      throw new S3Error(
        'STORE_KEY_INVALID',
        `\`${existing}\` is a file, and \`local.path\` needs a directory`,
        {
          hint: 'change `local.path`, or move the file away',
        },
      )
    }
    existing = dirname(existing)
  }
  return existing
}

/** Takes away again what checks made: directories below `existing` that are empty, the deepest first. */
export async function removeEmptyDirectories(deepest: string, existing: string): Promise<void> {
  let directory = deepest
  for (let depth = 0; depth < DEPTH_MAX && directory !== existing; depth++) {
    if (dirname(directory) === directory) return
    try {
      await rmdir(directory)
    } catch (error) {
      // Not there, or not empty: the one above may still be.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return
    }
    directory = dirname(directory)
  }
}
