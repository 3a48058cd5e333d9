/**
 * Which request meets which fault: by chance that can be had again, turn by turn.
 *
 * @module
 */
import { type Fault, faultsFor, type ProxiedRequest } from './fault-proxy.ts'
import { SeededRandom } from './seeded-random.ts'

const WAIT_MS = [20, 1500] as const
const LATE_MS = [100, 4000] as const
const COMMIT_FACTOR = 3
const COMMIT_ROW_SHARE = 0.5
/** More than the attempts of one request. */
const IN_A_ROW_MAX = 7
const COMMIT_PATH = /\/_delta_log\/\d{20}\.json$/

/** Is this the put of a version of the log? */
export function isCommit({ operation, path }: ProxiedRequest): boolean {
  return operation === 'put-if-absent' && COMMIT_PATH.test(path)
}

export class FaultDealer {
  readonly #seed: SeededRandom
  /** By sender and path: how many requests yet fail in a row. */
  readonly #inARow = new Map<string, number>()
  #random: SeededRandom
  #share = 0

  constructor(seed: number) {
    this.#seed = new SeededRandom(seed)
    this.#random = this.#seed
  }

  /** @param share of the requests that meet a fault */
  begin(turn: number, share: number): void {
    this.#random = this.#seed.fork(`faults ${turn}`)
    this.#share = share
  }

  /** From here on nothing fails. */
  end(): void {
    this.#share = 0
    this.#inARow.clear()
  }

  /**
   * Commits are what matters: they meet more faults than the rest, and often several in a row, so that the client runs
   * out of attempts and has to find out by itself whether its commit exists.
   */
  decide(request: ProxiedRequest): Fault | null {
    const random = this.#random
    const place = `${request.sender} ${request.path}`
    const inARow = this.#inARow.get(place) ?? 0
    this.#inARow.delete(place)
    if (inARow > 0) this.#inARow.set(place, inARow - 1)
    else if (!random.chance(this.#share * (isCommit(request) ? COMMIT_FACTOR : 1))) return null
    else if (isCommit(request) && random.chance(COMMIT_ROW_SHARE))
      this.#inARow.set(place, random.between(1, IN_A_ROW_MAX))
    const kind = random.choose(faultsFor(request.operation))
    const [least, most] = kind === 'late' ? LATE_MS : WAIT_MS
    return { kind, waitMs: random.between(least, most) }
  }
}
