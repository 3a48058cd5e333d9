/** Record batches that cannot be read: damaged, cut, or larger than they look. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { buffer, text } from 'node:stream/consumers'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createZstdCompress, gzipSync } from 'node:zlib'
import { lz4Compress } from '@platformatic/wasm-utils'
import { COMPRESSION_CODECS, type CompressionCodec } from '../../src/kafka/compression.ts'
import { crc32c } from '../../src/kafka/crc32c.ts'
import { BATCH_FIELD, BATCH_HEADER_BYTES, BATCH_OVERHEAD_BYTES } from '../../src/kafka/record-batch.ts'
import { encodeRecordBatch } from '../../src/kafka/record-batch-encoder.ts'
import { EmbeddedBroker } from '../../src/testing/index.ts'
import { assertFailure, type Outcome, RUN_TIMEOUT_MS, range, sound, Workplace } from './command-harness.ts'

const MIB = 1024 * 1024

interface Setting {
  readonly broker: EmbeddedBroker
  readonly workplace: Workplace
}

async function open(t: TestContext): Promise<Setting> {
  const broker = await EmbeddedBroker.start({ topics: [{ name: 'events' }] })
  t.after(() => broker.close())
  return { broker, workplace: await Workplace.open(t, broker.bootstrapServers) }
}

/** Batches of 5, 4 and 3 records; offset 5 begins the second. */
function fillThreeBatches(broker: EmbeddedBroker, codec: CompressionCodec = 'none'): void {
  for (const [from, to] of [
    [0, 5],
    [5, 9],
    [9, 12],
  ] as const) {
    broker.produce('events', 0, sound(from, to), { codec })
  }
}

const CORRUPT = {
  exitCode: 65,
  kind: 'kafka',
  code: 'KAFKA_CORRUPT_BATCH',
  hint: /check the broker’s log segment at the named offset/,
  retryable: false,
} as const

describe('a damaged record batch is refused by its offset, and what comes before it is in the table once', () => {
  for (const codec of COMPRESSION_CODECS) {
    test(`a flipped bit, ${codec}; with a sound copy, the next run goes on`, async t => {
      const { broker, workplace } = await open(t)
      fillThreeBatches(broker, codec)
      const damage = { flipBit: 8 * (BATCH_HEADER_BYTES + 5) }
      broker.corruptBatch('events', 0, 6n, damage)
      for (let start = 0; start < 2; start++) {
        const outcome = await workplace.ingest()
        const error = assertFailure(outcome, {
          ...CORRUPT,
          message:
            /^record batch `events-0@5` is damaged: CRC-32C is 0x[0-9a-f]{8}, the header says 0x[0-9a-f]{8}$/,
        })
        assert.equal(error.context.baseOffset, 5)
        assert.match(outcome.stderr, /note: a restart resumes at events\[0\]@5/)
        assert.deepEqual(await workplace.offsets(), range(0, 5))
      }
      // The same bit again: the batch is as it was.
      broker.corruptBatch('events', 0, 6n, damage)
      await workplace.ingestAll()
      assert.deepEqual(await workplace.offsets(), range(0, 12))
    })
  }

  test('a flipped bit in each byte of the header', async t => {
    const { broker, workplace } = await open(t)
    fillThreeBatches(broker)
    // Base offset, length and leader epoch are the broker's own and outside of the checksum.
    for (let byte = BATCH_FIELD.magic; byte < BATCH_HEADER_BYTES; byte++) {
      const damage = { flipBit: 8 * byte + 3 }
      broker.corruptBatch('events', 0, 6n, damage)
      assertFailure(await workplace.ingest(), {
        ...CORRUPT,
        message: /^record batch `events-0@5` is damaged: /,
      })
      assert.deepEqual(await workplace.offsets(), range(0, 5))
      broker.corruptBatch('events', 0, 6n, damage)
    }
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(), range(0, 12))
  })

  for (const [name, damage, message] of [
    ['cut', { truncateToBytes: 80 }, /`events-0@5` is damaged: CRC-32C/],
    ['cut, as its length says', { truncateToBytes: 80, fixLength: true }, /`events-0@5` is damaged: CRC-32C/],
    ['cut in its header', { truncateToBytes: 30, fixLength: true }, /`events-0@5` is damaged: /],
  ] as const) {
    test(name, async t => {
      const { broker, workplace } = await open(t)
      fillThreeBatches(broker)
      broker.corruptBatch('events', 0, 6n, damage)
      for (let start = 0; start < 2; start++) {
        assertFailure(await workplace.ingest(), { ...CORRUPT, message })
        assert.deepEqual(await workplace.offsets(), range(0, 5))
      }
    })
  }

  test('in one partition: the others’ rows are in the table up to where they were read', async t => {
    const { broker, workplace } = await open(t)
    broker.addPartitions('events', 2)
    fillThreeBatches(broker)
    broker.produce('events', 1, sound(0, 20))
    broker.corruptBatch('events', 0, 6n, { flipBit: 999 })
    for (let start = 0; start < 3; start++)
      assertFailure(await workplace.ingest(), { ...CORRUPT, message: /@5/ })
    assert.deepEqual(await workplace.offsets(0), range(0, 5))
    broker.corruptBatch('events', 0, 6n, { flipBit: 999 })
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(0), range(0, 12))
    assert.deepEqual(await workplace.offsets(1), range(0, 20))
  })

  test('an error of the broker itself while reading its log', async t => {
    const { broker, workplace } = await open(t)
    fillThreeBatches(broker)
    broker.failNext('Fetch', 'CORRUPT_MESSAGE', 1)
    assertFailure(await workplace.ingest(), {
      ...CORRUPT,
      message: /the broker cannot read it \(CORRUPT_MESSAGE\)/,
    })
    await workplace.ingestAll()
    assert.deepEqual(await workplace.offsets(), range(0, 12))
  })
})

/** A sound header around a payload. */
function bomb(codec: CompressionCodec, payload: Uint8Array): Uint8Array {
  const model = encodeRecordBatch(sound(5, 6), { baseOffset: 0n })
  const batch = Buffer.concat([model.subarray(0, BATCH_HEADER_BYTES), payload])
  batch.writeInt32BE(batch.length - BATCH_OVERHEAD_BYTES, BATCH_FIELD.batchLength)
  batch.writeInt16BE(COMPRESSION_CODECS.indexOf(codec), BATCH_FIELD.attributes)
  batch.writeUInt32BE(crc32c(batch.subarray(BATCH_FIELD.attributes)), BATCH_FIELD.crc)
  return batch
}

function repeat(piece: Uint8Array, count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, () => piece))
}

/** LZ4_Frame_format.md: magic, FLG, BD, header checksum; then blocks; then an end mark and a checksum of the content. */
const LZ4_HEADER_BYTES = 7
const LZ4_TAIL_BYTES = 4

/** A frame that holds the blocks of another `count` times over. */
function repeatLz4Blocks(frame: Buffer, count: number): Buffer {
  const hasChecksum = (frame[4]! & 0x04) !== 0
  const end = frame.length - LZ4_TAIL_BYTES - (hasChecksum ? 4 : 0)
  const blocks = repeat(frame.subarray(LZ4_HEADER_BYTES, end), count)
  return Buffer.concat([frame.subarray(0, LZ4_HEADER_BYTES), blocks, frame.subarray(end)])
}

function zstdOf(sizeBytes: number): Promise<Buffer> {
  const zstd = createZstdCompress()
  for (let size = 0; size < sizeBytes; size += ZEROS.length) zstd.write(ZEROS)
  zstd.end()
  return buffer(zstd)
}

const UNPACKED_BYTES = 1024 * MIB
const ZEROS = Buffer.alloc(16 * MIB)
const TIMES = UNPACKED_BYTES / ZEROS.length
/** A gigabyte of zeros each, in a few megabytes at most. Snappy packs 22 to 1: it can only lie about its length. */
const BOMBS: Readonly<Partial<Record<CompressionCodec, () => Uint8Array | Promise<Uint8Array>>>> = {
  gzip: () => repeat(gzipSync(ZEROS), TIMES),
  zstd: () => zstdOf(UNPACKED_BYTES),
  lz4: () => repeatLz4Blocks(Buffer.from(lz4Compress(ZEROS)), TIMES),
  snappy: () => Buffer.concat([Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x07), Buffer.alloc(1000)]),
}

const ENTRY = fileURLToPath(new URL('../../bin/stream-ingest.js', import.meta.url))
/** Writes the process's peak to stderr when it ends. */
const REPORT_PEAK = `data:text/javascript,process.on('exit',()=>process._rawDebug('peak',process.resourceUsage().maxRSS))`

/** The command in a process of its own, and the most memory that it had. */
async function ingestMeasured(workplace: Workplace): Promise<Outcome & { readonly peakBytes: number }> {
  const config = await workplace.configure({ processing: { memory_limit: '64MiB' } })
  const child = spawn(
    process.execPath,
    ['--import', REPORT_PEAK, ENTRY, 'run', config, '--until-latest', '--json', '--log', 'json'],
    {
      cwd: workplace.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: RUN_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    },
  )
  const [stdout, stderr, [exitCode]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number]>,
  ])
  const peakBytes = Number(/^peak (\d+)$/m.exec(stderr)?.[1]) * 1024
  return { exitCode, stdout, stderr, peakBytes }
}

/** What a process takes that fills its bound of 64 MiB, with room to spare, and far below what the batch would take. */
const PEAK_MAX_BYTES = 384 * MIB

describe('a small batch that unpacks to a gigabyte is refused before it fills the memory', () => {
  for (const [codec, pack] of Object.entries(BOMBS)) {
    test(codec, async t => {
      const { broker, workplace } = await open(t)
      broker.produce('events', 0, sound(0, 5))
      const batch = bomb(codec as CompressionCodec, await pack())
      assert(batch.length < 8 * MIB, `${batch.length} bytes`)
      broker.produce('events', 0, batch)
      const outcome = await ingestMeasured(workplace)
      assertFailure(outcome, {
        exitCode: 65,
        kind: 'kafka',
        code: 'KAFKA_BATCH_TOO_LARGE',
        message:
          /^record batch `events-0@5` holds (more|.*bytes) decompressed, over the bound of 67108864 bytes$/,
        hint: /raise `processing\.memory_limit`/,
      })
      assert(outcome.peakBytes < PEAK_MAX_BYTES, `${Math.round(outcome.peakBytes / MIB)} MiB`)
      t.diagnostic(`${codec}: ${batch.length} bytes, peak ${Math.round(outcome.peakBytes / MIB)} MiB`)
      assert.deepEqual(await workplace.offsets(), range(0, 5))
    })
  }
})
