/**
 * Started by `stack.test.ts` to be killed: starts a server, prints its identity as a line, and waits.
 *
 * @module
 */
import { mkdirSync } from 'node:fs'
import { leaveRunning, removeFolderWhenKilled, startProcess } from '../stack/managed-process.ts'

const [data, logPath, option] = process.argv.slice(2) as [string, string, string?]
mkdirSync(data)
removeFolderWhenKilled(data)
const server = await startProcess({
  command: process.execPath,
  args: ['--eval', 'setInterval(() => {}, 1000)'],
  logPath,
})
process.stdout.write(`${JSON.stringify({ pid: server.pid, startTime: server.startTime })}\n`)
if (option === '--leave-running') await leaveRunning()
else setInterval(() => undefined, 1000)
