// The scanner's quick way: JSON objects into staged columns, as a plan says (src/decode/kernel-layout.ts).
//
// What every producer writes all day is decoded here. Whatever is not - a value that does not fit, a key twice, half of a
// surrogate pair, JSON that is none - makes its record one for another look: its row is taken back, and the decoder in
// src/decode/, which knows all of the rules, has it. So nothing here decides that a record is bad.
//
// Positions go in and come out; 0 asks for another look. Reads may go beyond the end of a record, for positions only grow
// and are compared with the end before anything is believed; behind the last one there are zeros, which end any token.

import {
  appendNull,
  child,
  clearObject,
  endRange,
  endRow,
  lengthOf,
  memberAt,
  nodeOf,
  secondChild,
  textStart,
  truncate,
  values,
} from './node'
import { skipNumber } from './number'
import {
  decodeBoolean,
  decodeDate,
  decodeFloat,
  decodeInteger,
  decodeNull,
  decodeTimestamp,
  FALS,
  forgetHardFloats,
  hardFloatCount,
  noteHardFloats,
  NULL,
  TRUE,
} from './scalar'
import { copyString, metEscape, skipSpace, skipString, writtenEnd } from './text'
import {
  KIND_BOOLEAN,
  KIND_DATE,
  KIND_FLOAT64,
  KIND_INT16,
  KIND_INT32,
  KIND_INT64,
  KIND_INT8,
  KIND_LIST,
  KIND_MAP,
  KIND_PLACE,
  KIND_STRUCT,
  KIND_TIMESTAMP,
  KIND_UTF8,
  MEMBER_FOLLOWER,
  MEMBER_KEY,
  MEMBER_KEY_BYTES,
  MEMBER_SEEN_IN,
  NODE_DATA,
  NODE_KIND,
  NODE_NULLABLE,
  OBJECT_COUNT,
  OBJECT_FIRST,
  OBJECT_NOTES_UNKNOWN,
  OBJECT_NUMBER,
} from '../src/decode/kernel-layout'

export { hardFloatCount }

/** Maps with more entries have another look: each key is compared with those before it. */
const MAP_ENTRIES_MAX: i32 = 64

/** Places that are noted are counted from here. */
let base: usize = 0
/** The end of the record under way. */
let limit: usize = 0
let depthMax: i32 = 0

/**
 * Decodes records, each a row or none.
 *
 * @param object the plan of the payload
 * @param starts where each record begins, counted from `origin`; negative where it is null
 * @param ends where each ends
 * @param rows for each record its row, or −1 where it needs another look
 * @param floats where numbers that are the caller's to convert are noted, as many as `hardFloatCount` then says
 * @returns the number of rows
 */
export function scan(
  object: usize,
  count: i32,
  starts: usize,
  ends: usize,
  origin: usize,
  rows: usize,
  nestingMax: i32,
  floats: usize,
  floatsMax: i32,
): i32 {
  base = origin
  depthMax = nestingMax
  noteHardFloats(floats, floatsMax, origin)
  clearObject(object)
  const memberCount = load<i32>(object, OBJECT_COUNT)
  let row = 0
  for (let i = 0; i < count; i++) {
    const start = load<i32>(starts + (<usize>i << 2))
    let isRow = false
    if (start >= 0) {
      const floatsBefore = hardFloatCount
      limit = origin + load<i32>(ends + (<usize>i << 2))
      isRow = decodeRecord(object, origin + start)
      if (!isRow) {
        forgetHardFloats(floatsBefore)
        for (let m = 0; m < memberCount; m++) truncate(nodeOf(memberAt(object, m)), row)
      }
    }
    store<i32>(rows + (<usize>i << 2), isRow ? row++ : -1)
  }
  return row
}

function decodeRecord(object: usize, from: usize): bool {
  let p = skipSpace(from)
  if (load<u8>(p) != 0x7b) return false
  p = decodeMembers(object, p + 1, 1)
  if (p == 0) return false
  if (p < limit) p = skipSpace(p)
  return p == limit
}

/** From behind an object's `{` to behind its `}`. */
function decodeMembers(object: usize, from: usize, depth: i32): usize {
  const count = load<i32>(object, OBJECT_COUNT)
  const number = load<i32>(object, OBJECT_NUMBER) + 1
  store<i32>(object, number, OBJECT_NUMBER)
  let seenCount = 0
  // Where it is kept which member comes next.
  let follower = object + OBJECT_FIRST
  let p = skipSpace(from)
  if (load<u8>(p) == 0x7d) p++
  else {
    while (true) {
      if (load<u8>(p) != 0x22) return 0
      p++
      let member: usize = 0
      if (count > 0) {
        member = memberAt(object, load<i32>(follower))
        // The key that followed the last time, or the one behind it: some fields are missing now and then.
        let isFound = isKey(member, p)
        if (!isFound) {
          member = memberAt(object, load<i32>(member, MEMBER_FOLLOWER))
          isFound = isKey(member, p)
        }
        if (isFound) p += load<u32>(member, MEMBER_KEY_BYTES)
        else {
          const keyEnd = skipString(p)
          if (keyEnd == 0 || metEscape) return 0
          const index = findMember(object, count, p, keyEnd)
          if (index < 0) member = 0
          else {
            store<i32>(follower, index)
            member = memberAt(object, index)
          }
          p = keyEnd
        }
      } else {
        p = skipString(p)
        if (p == 0) return 0
      }
      if (load<u8>(p) != 0x3a) {
        p = skipSpace(p)
        if (load<u8>(p) != 0x3a) return 0
      }
      p = skipSpace(p + 1)
      if (member == 0) {
        if (load<i32>(object, OBJECT_NOTES_UNKNOWN) != 0) return 0
        p = skipValue(p, depth)
      } else {
        if (load<i32>(member, MEMBER_SEEN_IN) == number) return 0
        store<i32>(member, number, MEMBER_SEEN_IN)
        seenCount++
        follower = member + MEMBER_FOLLOWER
        p = decodeValue(nodeOf(member), p, depth)
      }
      if (p == 0) return 0
      p = skipSpace(p)
      if (p >= limit) return 0
      const c = load<u8>(p)
      p++
      if (c == 0x7d) break
      if (c != 0x2c) return 0
      p = skipSpace(p)
    }
  }
  return seenCount == count || appendMissing(object, count, number) ? p : 0
}

/** Nulls for the members that an object lacked; false where one of them must not be null. */
function appendMissing(object: usize, count: i32, number: i32): bool {
  for (let i = 0; i < count; i++) {
    const member = memberAt(object, i)
    if (load<i32>(member, MEMBER_SEEN_IN) == number) continue
    const node = nodeOf(member)
    if (load<i32>(node, NODE_NULLABLE) == 0) return false
    appendNull(node)
  }
  return true
}

/** Is it this member's key that begins behind the quote? */
// @ts-ignore: decorator
@inline
function isKey(member: usize, from: usize): bool {
  const key: usize = load<u32>(member, MEMBER_KEY)
  let left: i32 = load<i32>(member, MEMBER_KEY_BYTES)
  let at: usize = 0
  while (true) {
    const same = i8x16.bitmask(i8x16.eq(v128.load(key + at), v128.load(from + at)))
    if (left <= 16) return (~same & ((1 << left) - 1)) == 0
    if (same != 0xffff) return false
    at += 16
    left -= 16
  }
}

function findMember(object: usize, count: i32, from: usize, to: usize): i32 {
  for (let i = 0; i < count; i++) {
    const member = memberAt(object, i)
    if (<usize>load<u32>(member, MEMBER_KEY_BYTES) == to - from && isKey(member, from)) return i
  }
  return -1
}

function decodeValue(node: usize, p: usize, depth: i32): usize {
  switch (load<i32>(node, NODE_KIND)) {
    case KIND_UTF8:
      return decodeText(node, p, depth)
    case KIND_INT64:
    case KIND_INT32:
    case KIND_INT16:
    case KIND_INT8:
      return decodeInteger(node, p)
    case KIND_FLOAT64:
      return decodeFloat(node, p)
    case KIND_BOOLEAN:
      return decodeBoolean(node, p)
    case KIND_TIMESTAMP:
      return decodeTimestamp(node, p)
    case KIND_DATE:
      return decodeDate(node, p)
    case KIND_STRUCT:
      return decodeStruct(node, p, depth)
    case KIND_LIST:
      return decodeList(node, p, depth)
    case KIND_MAP:
      return decodeMap(node, p, depth)
    case KIND_PLACE:
      store<i32>(values(node) + (<usize>lengthOf(node) << 2), <i32>(p - base))
      endRow(node)
      return skipValue(p, depth)
    default:
      return 0
  }
}

function decodeText(node: usize, from: usize, depth: i32): usize {
  const at = textStart(node)
  const c = load<u8>(from)
  if (c != 0x22) {
    // A number, boolean, object or array in a column of text: its JSON as it stands.
    if (c == 0x6e) return decodeNull(node, from)
    const to = skipValue(from, depth)
    if (to == 0 || to > limit) return 0
    memory.copy(at, from, to - from)
    endRange(node, <i32>(at + (to - from) - load<u32>(node, NODE_DATA)))
    return to
  }
  const p = copyString(from + 1, at)
  if (p == 0) return 0
  endRange(node, <i32>(writtenEnd - load<u32>(node, NODE_DATA)))
  return p
}

function decodeStruct(node: usize, from: usize, depth: i32): usize {
  if (load<u8>(from) != 0x7b) return decodeNull(node, from)
  if (depth >= depthMax) return 0
  const p = decodeMembers(child(node), from + 1, depth + 1)
  if (p == 0) return 0
  endRow(node)
  return p
}

function decodeList(node: usize, from: usize, depth: i32): usize {
  if (load<u8>(from) != 0x5b) return decodeNull(node, from)
  if (depth >= depthMax) return 0
  const element = child(node)
  let p = skipSpace(from + 1)
  if (load<u8>(p) == 0x5d) p++
  else {
    while (true) {
      p = decodeValue(element, p, depth + 1)
      if (p == 0) return 0
      p = skipSpace(p)
      if (p >= limit) return 0
      const c = load<u8>(p)
      p++
      if (c == 0x5d) break
      if (c != 0x2c) return 0
      p = skipSpace(p)
    }
  }
  endRange(node, lengthOf(element))
  return p
}

function decodeMap(node: usize, from: usize, depth: i32): usize {
  if (load<u8>(from) != 0x7b) return decodeNull(node, from)
  if (depth >= depthMax) return 0
  const key = child(node)
  const value = secondChild(node)
  const first = lengthOf(key)
  let p = skipSpace(from + 1)
  if (load<u8>(p) == 0x7d) p++
  else {
    while (true) {
      if (load<u8>(p) != 0x22) return 0
      p = copyString(p + 1, textStart(key))
      if (p == 0) return 0
      endRange(key, <i32>(writtenEnd - load<u32>(key, NODE_DATA)))
      if (lengthOf(key) - first > MAP_ENTRIES_MAX || isRepeated(key, first)) return 0
      p = skipSpace(p)
      if (load<u8>(p) != 0x3a) return 0
      p = decodeValue(value, skipSpace(p + 1), depth + 1)
      if (p == 0) return 0
      p = skipSpace(p)
      if (p >= limit) return 0
      const c = load<u8>(p)
      p++
      if (c == 0x7d) break
      if (c != 0x2c) return 0
      p = skipSpace(p)
    }
  }
  endRange(node, lengthOf(key))
  return p
}

/** Is the last text equal to one from row `first` on? */
function isRepeated(node: usize, first: i32): bool {
  const last = lengthOf(node) - 1
  const data: usize = load<u32>(node, NODE_DATA)
  const offsets = values(node)
  const start: usize = load<u32>(offsets + (<usize>last << 2))
  const size: usize = <usize>load<u32>(offsets + (<usize>last << 2), 4) - start
  for (let row = first; row < last; row++) {
    const other: usize = load<u32>(offsets + (<usize>row << 2))
    if (<usize>load<u32>(offsets + (<usize>row << 2), 4) - other != size) continue
    if (memory.compare(data + start, data + other, size) == 0) return true
  }
  return false
}

/** The end of the value at `p`, checked as JSON. */
function skipValue(from: usize, depth: i32): usize {
  const c = load<u8>(from)
  switch (c) {
    case 0x22:
      return skipString(from + 1)
    case 0x74:
      return load<u32>(from) == TRUE ? from + 4 : 0
    case 0x66:
      return load<u32>(from) == FALS && load<u8>(from + 4) == 0x65 ? from + 5 : 0
    case 0x6e:
      return load<u32>(from) == NULL ? from + 4 : 0
    case 0x7b:
    case 0x5b:
      break
    default:
      return skipNumber(from)
  }
  if (depth >= depthMax) return 0
  const isObject = c == 0x7b
  const close: u8 = isObject ? 0x7d : 0x5d
  let p = skipSpace(from + 1)
  if (load<u8>(p) == close) return p + 1
  while (true) {
    if (isObject) {
      if (load<u8>(p) != 0x22) return 0
      p = skipString(p + 1)
      if (p == 0) return 0
      p = skipSpace(p)
      if (load<u8>(p) != 0x3a) return 0
      p = skipSpace(p + 1)
    }
    p = skipValue(p, depth + 1)
    if (p == 0) return 0
    p = skipSpace(p)
    const next = load<u8>(p)
    p++
    if (next == close) return p
    if (next != 0x2c) return 0
    p = skipSpace(p)
  }
}

/** The first address that is free. */
export const heapBase: usize = __heap_base
