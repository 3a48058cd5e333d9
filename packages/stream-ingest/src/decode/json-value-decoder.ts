/**
 * JSON objects, lists and maps from bytes into builders.
 *
 * Of two equal keys the last one wins, at any depth, as in `JSON.parse`: what the first one appended is taken back, and
 * if it did not fit that is forgotten.
 *
 * @module
 */
import type { BinaryBuilder, ListBuilder, MapBuilder, StructBuilder } from '@stream-ingest/delta/column'
import { boundedPath, describeJsonValue, pathSegment } from './found-value.ts'
import { HASH_SEED, hashByte, hashOf } from './hash.ts'
import type { ObjectPlan, ValuePlan } from './json-plan.ts'
import { JsonScalarDecoder, MISFIT } from './json-scalar-decoder.ts'
import { NOT_JSON, PLAIN } from './json-scanner.ts'

interface SetAside {
  readonly column: string
  readonly path: string
  readonly message: string
}

/** Members that did not fit, by index: each may yet be replaced by a later one of the same key. */
type SetAsideMembers = Map<number, SetAside>

export class JsonValueDecoder extends JsonScalarDecoder {
  /** Numbers the objects that were entered, so that "seen in this one" needs no clearing. */
  private objectNumber = 0
  private foundMember = -1
  /** Behind the opening quote of the last key that did not follow its predecessor as usual. */
  private keyStart = 0
  /** Was a field met that holds a value and that no column takes, where the plan wants to know? */
  protected metUnknown = false

  /** From behind an object's `{` to behind its `}`. */
  protected decodeMembers(plan: ObjectPlan, from: number, depth: number): number {
    const b = this.bytes
    const end = this.end
    const { keys, members, followers, seenIn } = plan
    const objectNumber = ++this.objectNumber
    const count = members.length
    let setAside: SetAsideMembers | null = null
    let seenCount = 0
    let previous = count
    let p = from
    if (b[p]! <= 0x20) p = this.skipSpace(p)
    if (b[p] === 0x7d) return count === 0 ? p + 1 : this.endMembers(plan, p + 1, objectNumber, setAside)
    for (;;) {
      if (b[p] !== 0x22) return this.fail(p, 'a key')
      // The key that followed the last time, quote included, or whichever it is.
      let index = followers[previous]!
      p++
      if (count !== 0) {
        const key = keys[index]!
        const length = key.length
        let i = 0
        while (i < length && b[p + i] === key[i]) i++
        if (i === length && p + length <= end) {
          p += length
        } else {
          this.keyStart = p
          p = this.findMember(plan, p)
          if (p < 0) return p
          index = this.foundMember
          if (index >= 0) followers[previous] = index
        }
      } else {
        this.keyStart = p
        p = this.skipString(p)
        if (p < 0) return p
        index = -1
      }
      if (b[p] !== 0x3a) {
        p = this.skipSpace(p)
        if (b[p] !== 0x3a) return this.fail(p, '`:`')
      }
      p++
      if (b[p]! <= 0x20) p = this.skipSpace(p)
      if (index < 0) {
        const valueStart = p
        p = this.skipValue(p, depth)
        if (p < 0) return p
        if (plan.leftOut !== null && !this.metUnknown) this.noteUnknown(plan.leftOut, valueStart, p)
      } else {
        const member = members[index]!
        if (seenIn[index] !== objectNumber) {
          seenIn[index] = objectNumber
          seenCount++
        } else if (setAside === null || !setAside.delete(index)) {
          takeBack(member)
        }
        const next = this.decodeValue(member, p, depth)
        if (next >= 0) {
          p = next
        } else {
          if (next === NOT_JSON) return next
          setAside ??= new Map()
          p = this.setAsideMember(setAside, plan, index, p, depth)
          if (p < 0) return p
        }
        previous = index
      }
      if (b[p]! <= 0x20) p = this.skipSpace(p)
      const c = b[p]!
      if (p >= end) return this.fail(p, '`,` or `}`')
      p++
      if (c === 0x2c) {
        if (b[p]! <= 0x20) p = this.skipSpace(p)
        continue
      }
      if (c !== 0x7d) return this.fail(p - 1, '`,` or `}`')
      if (setAside === null) {
        if (seenCount === count) return p
        const absent = plan.lastAbsent
        if (seenCount === count - 1 && absent >= 0 && seenIn[absent] !== objectNumber) {
          const member = members[absent]!
          if (member.nullable) {
            appendMissing(member)
            return p
          }
        }
      }
      return this.endMembers(plan, p, objectNumber, setAside)
    }
  }

  /** The key at `keyStart` is no member's; its value is in `[from, to)`. */
  private noteUnknown(leftOut: ReadonlySet<string>, from: number, to: number): void {
    if (!this.holdsValue(from, Math.min(to, this.end))) return
    if (leftOut.size === 0) {
      this.metUnknown = true
      return
    }
    this.readString(this.keyStart - 1)
    const key = Buffer.from(this.textBytes.subarray(this.textStart, this.textEnd)).toString('utf8')
    this.metUnknown = !leftOut.has(key.toLowerCase())
  }

  /** From behind a key's opening quote to behind its closing one; leaves the member in `foundMember`. */
  private findMember(plan: ObjectPlan, from: number): number {
    const b = this.bytes
    const end = this.end
    let hash = HASH_SEED
    let p = from
    let c = b[p]!
    while (p < end && PLAIN[c] === 1) {
      hash = hashByte(hash, c)
      c = b[++p]!
    }
    if (c === 0x22 && p < end) {
      this.foundMember = plan.find(b, from, p, hash)
      return p + 1
    }
    p = this.readString(from - 1)
    if (p < 0) return p
    const { textBytes, textStart, textEnd } = this
    this.foundMember = this.hasLoneSurrogate
      ? -1
      : plan.find(textBytes, textStart, textEnd, hashOf(textBytes, textStart, textEnd))
    return p
  }

  /** Remembers why a member did not fit, undoes what it appended, and walks over it. */
  private setAsideMember(
    setAside: SetAsideMembers,
    plan: ObjectPlan,
    index: number,
    from: number,
    depth: number,
  ): number {
    setAside.set(index, {
      column: this.misfitColumn,
      path: boundedPath(pathSegment(plan.names[index]!) + this.misfitPath),
      message: this.misfitMessage,
    })
    const member = plan.members[index]!
    if (member.kind !== 'fan_out') member.builder.truncate(member.builder.length)
    return this.skipValue(from, depth)
  }

  /** Fills up what an object lacks, or takes everything of it back and says what does not fit. */
  private endMembers(
    plan: ObjectPlan,
    p: number,
    objectNumber: number,
    setAside: SetAsideMembers | null,
  ): number {
    const { members, seenIn } = plan
    let isBad = setAside !== null && this.noteFirst(setAside)
    for (let i = 0; i < members.length && !isBad; i++) {
      if (seenIn[i] === objectNumber || members[i]!.nullable) continue
      this.noteMissing(plan.names[i]!, members[i]!)
      isBad = true
    }
    if (isBad) {
      for (let i = 0; i < members.length; i++) {
        if (seenIn[i] === objectNumber && setAside?.has(i) !== true) takeBack(members[i]!)
      }
      return MISFIT
    }
    for (let i = 0; i < members.length; i++) {
      if (seenIn[i] === objectNumber) continue
      appendMissing(members[i]!)
      plan.lastAbsent = i
    }
    return p
  }

  /** Blames the first member that did not fit and was not replaced; false where there is none. */
  private noteFirst(setAside: SetAsideMembers): boolean {
    const [bad] = setAside.values()
    if (bad === undefined) return false
    this.misfitColumn = bad.column
    this.misfitPath = bad.path
    this.misfitMessage = bad.message
    return true
  }

  /** Blames what a required member lacks: itself, or the first required column below it. */
  protected noteMissing(name: string, member: ValuePlan): void {
    this.misfitColumn = member.column
    this.misfitMessage = `expected ${member.expected} that is not null, found nothing`
    this.misfitPath = pathSegment(name) + requiredPath(member)
  }

  protected decodeValue(plan: ValuePlan, p: number, depth: number): number {
    switch (plan.kind) {
      case 'utf8':
        return this.decodeUtf8(plan, p, depth)
      case 'int64':
        return this.decodeInt64(plan, p, depth)
      case 'timestamp':
        return this.decodeTimestamp(plan, p, depth)
      case 'float':
        return this.decodeFloat(plan, p, depth)
      case 'boolean':
        return this.decodeBoolean(plan, p, depth)
      case 'small_int':
        return this.decodeSmallInt(plan, p, depth)
      case 'date':
        return this.decodeDate(plan, p, depth)
      case 'decimal':
        return this.decodeDecimal(plan, p, depth)
      case 'uint64':
        return this.decodeUint64(plan, p, depth)
      case 'binary':
        return this.decodeBinary(plan, p, depth)
      case 'struct':
        return this.decodeStruct(plan, p, depth)
      case 'list':
        return this.decodeList(plan, p, depth)
      case 'map':
        return this.decodeMap(plan, p, depth)
      case 'fan_out':
        return this.decodeFanOut(plan, p, depth)
    }
  }

  private decodeStruct(plan: ValuePlan, from: number, depth: number): number {
    if (this.bytes[from] !== 0x7b) return this.decodeOther(plan, from, depth, '')
    if (depth >= this.depthMax) return this.failDepth()
    const p = this.decodeMembers(plan.members!, from + 1, depth + 1)
    if (p >= 0) (plan.builder as StructBuilder).appendPresent()
    return p
  }

  private decodeList(plan: ValuePlan, from: number, depth: number): number {
    const b = this.bytes
    if (b[from] !== 0x5b) return this.decodeOther(plan, from, depth, '')
    if (depth >= this.depthMax) return this.failDepth()
    const builder = plan.builder as ListBuilder
    const element = plan.element!
    const first = builder.element.length
    let p = this.skipSpace(from + 1)
    if (b[p] === 0x5d) {
      builder.appendEnd()
      return p + 1
    }
    for (;;) {
      const next = this.decodeValue(element, p, depth + 1)
      if (next < 0) {
        if (next === MISFIT) this.placeMisfit(`[${builder.element.length - first}]`)
        return next
      }
      p = next
      if (b[p]! <= 0x20) p = this.skipSpace(p)
      if (p >= this.end) return this.fail(p, '`,` or `]`')
      const c = b[p]!
      if (c === 0x5d) {
        builder.appendEnd()
        return p + 1
      }
      if (c !== 0x2c) return this.fail(p, '`,` or `]`')
      p = this.skipSpace(p + 1)
    }
  }

  private decodeMap(plan: ValuePlan, from: number, depth: number): number {
    const b = this.bytes
    if (b[from] !== 0x7b) return this.decodeOther(plan, from, depth, '')
    if (depth >= this.depthMax) return this.failDepth()
    const builder = plan.builder as MapBuilder
    const keys = builder.key as BinaryBuilder
    const keySet = plan.keySet!
    let p = this.skipSpace(from + 1)
    if (b[p] === 0x7d) {
      builder.appendEnd()
      return p + 1
    }
    keySet.clear(keys)
    for (;;) {
      if (b[p] !== 0x22) return this.fail(p, 'a key')
      p = this.readString(p)
      if (p < 0) return p
      if (this.hasLoneSurrogate) return this.misfit(plan, from, depth, 'half of a surrogate pair in a key')
      keys.appendRange(this.textBytes, this.textStart, this.textEnd)
      // The careful way knows which of two equal keys counts, and so which misfits do.
      if (!keySet.addLast()) return this.decodeMapOfLastKeys(plan, from, depth)
      p = this.skipColon(p)
      if (p < 0) return p
      const next = this.decodeValue(plan.mapValue!, p, depth + 1)
      if (next === MISFIT) return this.decodeMapOfLastKeys(plan, from, depth)
      if (next < 0) return next
      p = this.skipSpace(next)
      if (p >= this.end) return this.fail(p, '`,` or `}`')
      const c = b[p]!
      if (c === 0x7d) {
        builder.appendEnd()
        return p + 1
      }
      if (c !== 0x2c) return this.fail(p, '`,` or `}`')
      p = this.skipSpace(p + 1)
    }
  }

  /** A map with equal keys, or with a value that does not fit: only the last value of each key is looked at. */
  private decodeMapOfLastKeys(plan: ValuePlan, from: number, depth: number): number {
    const b = this.bytes
    const builder = plan.builder as MapBuilder
    builder.truncate(builder.length)
    const lastValues = new Map<string, number>()
    const close = this.skipValue(from, depth)
    if (close < 0) return close
    if (close > this.end) return this.fail(close, 'the rest of an object')
    // The object is JSON from here on, so nothing below can fail but the values' types.
    let p = from
    do {
      p = this.readString(this.skipSpace(p + 1))
      if (this.hasLoneSurrogate) return this.misfit(plan, from, depth, 'half of a surrogate pair in a key')
      const key = latin1(this.textBytes, this.textStart, this.textEnd)
      p = this.skipColon(p)
      lastValues.set(key, p)
      p = this.skipSpace(this.skipValue(p, depth + 1))
    } while (b[p] === 0x2c)
    for (const [key, value] of lastValues) {
      const keyBytes = Buffer.from(key, 'latin1')
      ;(builder.key as BinaryBuilder).append(keyBytes)
      const next = this.decodeValue(plan.mapValue!, value, depth + 1)
      if (next < 0) {
        if (next === MISFIT) this.placeMisfit(pathSegment(keyBytes.toString('utf8')))
        return next
      }
    }
    builder.appendEnd()
    return close
  }

  /** One value for several columns, and for columns below it. On a misfit nothing of it stays appended. */
  private decodeFanOut(plan: ValuePlan, from: number, depth: number): number {
    let p = from
    for (const [index, target] of plan.targets.entries()) {
      p = this.decodeValue(target, from, depth)
      if (p < 0) {
        if (p === MISFIT) {
          target.builder.truncate(target.builder.length)
          for (const earlier of plan.targets.slice(0, index)) takeBack(earlier)
        }
        return p
      }
    }
    if (plan.members === null) return p
    p = this.decodeBelow(plan.members, from, depth)
    if (p === MISFIT) for (const target of plan.targets) takeBack(target)
    return p
  }

  private decodeBelow(below: ObjectPlan, from: number, depth: number): number {
    if (this.bytes[from] === 0x7b) {
      if (depth >= this.depthMax) return this.failDepth()
      return this.decodeMembers(below, from + 1, depth + 1)
    }
    const missing = below.members.find(member => !member.nullable)
    if (this.isLiteralNull(from) && missing === undefined) {
      for (const member of below.members) appendMissing(member)
      return from + 4
    }
    const blamed = missing ?? below.members[0]!
    const outcome = this.misfit(blamed, from, depth, '')
    if (outcome === MISFIT) {
      const to = Math.min(this.skipValue(from, depth), this.end)
      const name = below.names[below.members.indexOf(blamed)]!
      const found = describeJsonValue(this.bytes, from, to)
      this.misfitMessage = `expected an object with the key \`${name}\`, found ${found}`
    }
    return outcome
  }

  private placeMisfit(segment: string): void {
    this.misfitPath = boundedPath(segment + this.misfitPath)
  }
}

/** Undoes the one value that a member has appended. */
function takeBack(member: ValuePlan): void {
  if (member.kind !== 'fan_out') {
    member.builder.truncate(member.builder.length - 1)
    return
  }
  for (const target of member.targets) takeBack(target)
  for (const below of member.members?.members ?? []) takeBack(below)
}

/** From a fan-out without a required target down to the first required column. */
function requiredPath({ kind, targets, members }: ValuePlan): string {
  if (kind !== 'fan_out' || members === null || targets.some(target => !target.nullable)) return ''
  const index = members.members.findIndex(below => !below.nullable)
  return index < 0 ? '' : pathSegment(members.names[index]!) + requiredPath(members.members[index]!)
}

/** Appends what a member has that is neither there nor required. */
export function appendMissing(member: ValuePlan): void {
  if (member.kind !== 'fan_out') {
    member.builder.appendNull()
    return
  }
  for (const target of member.targets) appendMissing(target)
  for (const below of member.members?.members ?? []) appendMissing(below)
}

function latin1(b: Uint8Array, start: number, end: number): string {
  return Buffer.from(b.buffer, b.byteOffset + start, end - start).toString('latin1')
}
