/**
 * A file with new content, or as it was: never with a part of either.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { IoError } from '../error.ts'

const BYTE_ORDER_MARK = Buffer.from('\ufeff')

/**
 * Puts `after` where the file holds `before`, with the mode that it has.
 *
 * @throws IoError `IO_FAILED` where the file holds something else by now; what the file system throws
 */
export async function replaceFile(path: string, before: string, after: string): Promise<void> {
  // A link stays one.
  const target = await realpath(path)
  const bytes = await readFile(target)
  const hasMark = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)
  const mark = hasMark ? BYTE_ORDER_MARK : Buffer.alloc(0)
  if (!bytes.equals(Buffer.concat([mark, Buffer.from(before)]))) {
    throw new IoError('IO_FAILED', `\`${path}\` was changed while its tests ran`, {
      hint: 'run the tests again',
      context: { path },
    })
  }
  const { mode } = await stat(target)
  const temporary = join(dirname(target), `.${basename(target)}.${randomUUID()}`)
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      await file.writeFile(Buffer.concat([mark, Buffer.from(after)]))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}
