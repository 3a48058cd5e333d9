/**
 * The kernel: JSON objects into staged columns in WebAssembly, 16 bytes at a time (assembly/, compiled into
 * kernel-module.ts). docs/decisions/0013 says why there are two decoders.
 *
 * @module
 */
import { KERNEL_WASM } from './kernel-module.ts'

const PAGE_BYTES = 64 * 1024

/** What is used of it: its types come with the DOM's only. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: object }
}
const { Module, Instance } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  readonly heapBase: { readonly value: number }
  readonly hardFloatCount: { readonly value: number }
  scan(
    object: number,
    count: number,
    starts: number,
    ends: number,
    origin: number,
    rows: number,
    nestingMax: number,
    hardFloats: number,
    hardFloatsMax: number,
  ): number
}

let compiled: object | null = null

/** One instance with memory of its own, which is laid out once and then stays as it is. */
export class Kernel {
  readonly scan: Exports['scan']
  private readonly exports: Exports

  constructor() {
    compiled ??= new Module(Buffer.from(KERNEL_WASM, 'base64'))
    this.exports = new Instance(compiled).exports as Exports
    this.scan = this.exports.scan
  }

  /** The first address that is free. */
  get heapBase(): number {
    return this.exports.heapBase.value
  }

  /** Numbers that the last scan left to its caller. */
  get hardFloatCount(): number {
    return this.exports.hardFloatCount.value
  }

  /** Makes room up to this address. Views of the memory from before are gone. */
  reserve(end: number): ArrayBuffer {
    const { memory } = this.exports
    const missing = end - memory.buffer.byteLength
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE_BYTES))
    return memory.buffer
  }
}
