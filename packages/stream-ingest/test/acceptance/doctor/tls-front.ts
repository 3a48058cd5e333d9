/**
 * A TLS server before the real broker, for certificates that no sound broker has.
 *
 * @module
 */
import { once } from 'node:events'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { createServer, type TlsOptions } from 'node:tls'

/** Returns `host:port`; ends with the test. */
export async function startTlsFront(t: TestContext, upstream: string, options: TlsOptions): Promise<string> {
  const { hostname, port } = new URL(`kafka://${upstream}`)
  const sockets = new Set<Socket>()
  const keep = (socket: Socket, other: () => Socket | undefined): void => {
    sockets.add(socket)
    // Either side may go away at any time; the other then follows.
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      other()?.destroy()
    })
  }
  const server = createServer(options, client => {
    const broker = connect(Number(port), hostname)
    keep(client, () => broker)
    keep(broker, () => client)
    client.pipe(broker).pipe(client)
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    const closed = once(server, 'close')
    server.close()
    await closed
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
