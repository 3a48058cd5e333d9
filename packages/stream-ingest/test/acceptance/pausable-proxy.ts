/**
 * A TCP proxy that can hold back everything that is on its way to the server: a store that does not answer.
 *
 * @module
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export class PausableProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #clients = new Set<Socket>()
  #isPaused = false

  private constructor(target: URL) {
    this.#server = createServer(client => {
      const upstream = connect(Number(target.port), target.hostname)
      this.#clients.add(client)
      for (const socket of [client, upstream]) {
        this.#sockets.add(socket)
        // Either side may go away at any time; the other then follows.
        socket.on('error', () => {})
        socket.on('close', () => {
          client.destroy()
          upstream.destroy()
          this.#sockets.delete(socket)
          this.#clients.delete(client)
        })
      }
      client.pipe(upstream)
      upstream.pipe(client)
      if (this.#isPaused) client.pause()
    })
  }

  static async start(target: string): Promise<PausableProxy> {
    const proxy = new PausableProxy(new URL(target))
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** From now on no request reaches the server. */
  pause(): void {
    this.#isPaused = true
    for (const client of this.#clients) client.pause()
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
