/**
 * Proof that a store creates an object for one caller only.
 *
 * Commits stand on this. Several S3-compatible servers ignore `If-None-Match: *`, and more of them honour it for one
 * caller after another but not for callers at once: both lose commits in silence. So the store is asked in races before
 * the first commit, and what came out is kept beside the table.
 *
 * Everything is below one folder whose leading `_` hides it from readers of the table and from VACUUM, outside
 * `_delta_log`, whose listing every reader pays for.
 *
 * @module
 */
import assert from 'node:assert/strict'
import { DeltaLakeError } from '../error.ts'
import type { ObjectStore, PutIfAbsentResult, RequestOptions } from './object-store.ts'

const FOLDER = '_stream_ingest'

/** Where the outcome of the proof is kept, relative to the table. */
export const CONDITIONAL_PUT_MARKER_KEY = `${FOLDER}/conditional-put.json`

const SCRATCH_PREFIX = `${FOLDER}/probe-`

/** Scratch objects this old are from a process that died. */
const SCRATCH_AGE_MAX_MS = 60 * 60 * 1000

/** Servers that let two writers through do so in a quarter to a half of such rounds: 16 find them all but surely. */
const ROUNDS_DEFAULT = 16
const WRITERS_DEFAULT = 16

/** Calls for one answer; each has been repeated by the store before it is `unknown`. AWS answers 409 in races. */
const ATTEMPTS_MAX = 8

/** A server behind a name may be exchanged: the proof is made again after this time. */
const MARKER_AGE_MAX_MS_DEFAULT = 30 * 24 * 60 * 60 * 1000

const MARKER_FORMAT = 1

export interface ProveOptions extends RequestOptions {
  /** A new string of letters, digits and `-` at each call, not to be guessed: scratch keys of two processes differ. */
  readonly random: () => string
  /** Races that are to have exactly one winner. Default 16. */
  readonly rounds?: number
  /** Writers per race. Default 16. */
  readonly writers?: number
}

export interface EnsureOptions extends ProveOptions {
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Oldest proof that still counts. Default 30 days. */
  readonly markerAgeMaxMs?: number
}

/** What the marker object holds: a proof counts for the server and the place that it was made on. */
interface ConditionalPutMarker {
  readonly format: typeof MARKER_FORMAT
  readonly uri: string
  readonly endpoint: string | null
  readonly provedAtMs: number
  readonly rounds: number
  readonly writers: number
}

/**
 * Makes sure that the store's `putIfAbsent` has one winner: by one GET where that is proved already, else by proving it
 * and keeping the outcome. Throws `STORE_NOT_ATOMIC` naming the store.
 */
export async function ensureConditionalPut(
  store: ObjectStore,
  options: EnsureOptions,
): Promise<'known' | 'proved'> {
  const nowMs = options.now()
  const ageMaxMs = options.markerAgeMaxMs ?? MARKER_AGE_MAX_MS_DEFAULT
  const marker = parseMarker(await store.get(CONDITIONAL_PUT_MARKER_KEY, options))
  const isOurs = marker?.uri === store.uri && marker.endpoint === (store.endpoint ?? null)
  if (marker !== null && isOurs && marker.provedAtMs <= nowMs && nowMs - marker.provedAtMs <= ageMaxMs) {
    return 'known'
  }
  await removeAbandonedScratch(store, nowMs, options)
  await proveConditionalPut(store, options)
  const proved: ConditionalPutMarker = {
    format: MARKER_FORMAT,
    uri: store.uri,
    endpoint: store.endpoint ?? null,
    provedAtMs: nowMs,
    rounds: options.rounds ?? ROUNDS_DEFAULT,
    writers: options.writers ?? WRITERS_DEFAULT,
  }
  // A crash before this leaves no marker: the next start proves again.
  await store.put(CONDITIONAL_PUT_MARKER_KEY, Buffer.from(JSON.stringify(proved)), options)
  return 'proved'
}

/**
 * Proves on scratch keys, which it removes, that `putIfAbsent` creates once: one call after another, and in races.
 * Throws `STORE_NOT_ATOMIC` at the first violation, `STORE_UNAVAILABLE` where the store gives no clear answers.
 */
export async function proveConditionalPut(store: ObjectStore, options: ProveOptions): Promise<void> {
  const rounds = options.rounds ?? ROUNDS_DEFAULT
  const writers = options.writers ?? WRITERS_DEFAULT
  assert(rounds >= 1, 'a proof has rounds')
  assert(writers >= 2, 'a race has two writers or more')
  const scratch = store.at(`${SCRATCH_PREFIX}${options.random()}`)
  const keys: string[] = []
  try {
    keys.push('sequence')
    await proveInSequence(store, scratch, 'sequence', options)
    // A round in which every winner's answer was lost proves nothing, and is run again.
    for (let run = 0, proved = 0; proved < rounds; run++) {
      if (run === 2 * rounds)
        throw noAnswer(store, `no winner in ${run - proved} of ${run} rounds of ${writers} writers`)
      const key = `race-${run}`
      keys.push(key)
      if (await raceOnce(store, scratch, key, writers, options)) proved += 1
    }
  } catch (error) {
    // The violation is what the caller needs to know; scratch that stays is removed by a later proof.
    await scratch.delete(keys).catch(() => undefined)
    throw error
  }
  await deleteIfAllowed(scratch, keys, options)
}

async function proveInSequence(
  store: ObjectStore,
  scratch: ObjectStore,
  key: string,
  options: RequestOptions,
): Promise<void> {
  const first = bodyOf('first')
  const created = await putUntilDefinite(store, scratch, key, first, options)
  // An object that is there although nobody else knows the key is ours: its answer was lost on the way.
  await expectBody(store, scratch, key, [first], options, `after a first put answered \`${created}\``)
  const again = await putUntilDefinite(store, scratch, key, bodyOf('second'), options)
  if (again !== 'exists') throw notAtomic(store, 'a second put on the same key was told `created`')
  await expectBody(store, scratch, key, [first], options, 'after a second put answered `exists`')
}

/** One race; false where nobody was told `created`, because the winner's answer was lost. */
async function raceOnce(
  store: ObjectStore,
  scratch: ObjectStore,
  key: string,
  writers: number,
  options: RequestOptions,
): Promise<boolean> {
  const bodies = Array.from({ length: writers }, (_, index) => bodyOf(`writer ${index}`))
  const settled = await Promise.allSettled(
    bodies.map(body => putUntilDefinite(store, scratch, key, body, options)),
  )
  const failed = settled.find(outcome => outcome.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  const winners = bodies.filter((_, index) => {
    const outcome = settled[index]!
    return outcome.status === 'fulfilled' && outcome.value === 'created'
  })
  if (winners.length > 1) {
    throw notAtomic(store, `${winners.length} of ${writers} concurrent puts on one key were told \`created\``)
  }
  const candidates = winners.length === 1 ? winners : bodies
  await expectBody(store, scratch, key, candidates, options, `after a race of ${writers} writers`)
  return winners.length === 1
}

/** Puts the same bytes until the answer is `created` or `exists`. */
async function putUntilDefinite(
  store: ObjectStore,
  scratch: ObjectStore,
  key: string,
  body: Uint8Array,
  options: RequestOptions,
): Promise<'created' | 'exists'> {
  let result: PutIfAbsentResult = { status: 'unknown', cause: undefined }
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    result = await scratch.putIfAbsent(key, body, options)
    if (result.status !== 'unknown') return result.status
  }
  if (result.cause instanceof DeltaLakeError) throw result.cause
  throw noAnswer(store, `${ATTEMPTS_MAX} conditional puts got no answer`, result.cause)
}

async function expectBody(
  store: ObjectStore,
  scratch: ObjectStore,
  key: string,
  candidates: readonly Uint8Array[],
  options: RequestOptions,
  moment: string,
): Promise<void> {
  const stored = await scratch.get(key, options)
  if (stored === null) throw notAtomic(store, `${moment} the object is not there`)
  if (candidates.some(candidate => Buffer.compare(candidate, stored) === 0)) return
  const seen = new TextDecoder().decode(stored.subarray(0, 40))
  throw notAtomic(store, `${moment} the object holds other bytes than the winner's (\`${seen}\`)`)
}

async function removeAbandonedScratch(
  store: ObjectStore,
  nowMs: number,
  options: RequestOptions,
): Promise<void> {
  const abandoned: string[] = []
  for await (const info of store.list(SCRATCH_PREFIX, options)) {
    if (info.lastModifiedMs < nowMs - SCRATCH_AGE_MAX_MS) abandoned.push(info.key)
  }
  if (abandoned.length > 0) await deleteIfAllowed(store, abandoned, options)
}

/** An identity that may write but not delete can still commit: its scratch, a few hundred bytes, then stays. */
async function deleteIfAllowed(
  store: ObjectStore,
  keys: readonly string[],
  options: RequestOptions,
): Promise<void> {
  try {
    await store.delete(keys, options)
  } catch (error) {
    if (!(error instanceof DeltaLakeError && error.code === 'STORE_ACCESS_DENIED')) throw error
  }
}

/** Null for anything that is no marker of this format: the proof is then made again. */
function parseMarker(bytes: Uint8Array | null): ConditionalPutMarker | null {
  if (bytes === null) return null
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder().decode(bytes))
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const marker = value as Partial<ConditionalPutMarker>
  const isComplete = marker.format === MARKER_FORMAT && typeof marker.provedAtMs === 'number'
  return isComplete ? (marker as ConditionalPutMarker) : null
}

function bodyOf(text: string): Uint8Array {
  return Buffer.from(`conditional put probe: ${text}\n`)
}

function place(store: ObjectStore): string {
  return store.endpoint === undefined ? `\`${store.uri}\`` : `\`${store.uri}\` at \`${store.endpoint}\``
}

function notAtomic(store: ObjectStore, seen: string): DeltaLakeError {
  return new DeltaLakeError(
    'STORE_NOT_ATOMIC',
    `${place(store)} does not create an object once when asked by \`If-None-Match: *\`: ${seen}`,
    { context: { uri: store.uri, endpoint: store.endpoint } },
  )
}

function noAnswer(store: ObjectStore, seen: string, cause?: unknown): DeltaLakeError {
  const message = `${place(store)} gave no clear answer to the proof of conditional puts: ${seen}`
  return new DeltaLakeError('STORE_UNAVAILABLE', message, { context: { uri: store.uri }, cause })
}
