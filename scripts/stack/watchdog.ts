/**
 * Ends what its master leaves behind. Standard input is a pipe from the master, with one line for each thing to guard:
 * `process PID STARTTIME` or `folder PATH`, or `release` to forget them all. The pipe closes when the master is gone, however it went; what was stopped
 * properly by then is recognised and left alone.
 *
 * @module
 */
import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { type ProcessIdentity, stopProcess } from './managed-process.ts'

let processes: ProcessIdentity[] = []
let folders: string[] = []
for await (const line of createInterface({ input: process.stdin })) {
  const [kind, ...rest] = line.split(' ')
  if (kind === 'process') processes.push({ pid: Number(rest[0]), startTime: rest.slice(1).join(' ') })
  if (kind === 'folder') folders.push(rest.join(' '))
  if (kind === 'release') {
    processes = []
    folders = []
  }
}
// Last started, first stopped. A server's folder goes after the server.
for (const identity of processes.reverse()) await stopProcess(identity)
for (const folder of folders) await rm(folder, { recursive: true, force: true })
