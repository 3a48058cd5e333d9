// A node's staged column: its rows, one behind the other.

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
  MEMBER_BYTES,
  MEMBER_NODE,
  MEMBER_SEEN_IN,
  NODE_CHILD,
  NODE_DATA,
  NODE_KIND,
  NODE_LENGTH,
  NODE_NULLS,
  NODE_SECOND_CHILD,
  NODE_VALIDITY,
  NODE_VALUES,
  OBJECT_BYTES,
  OBJECT_COUNT,
  OBJECT_NUMBER,
} from '../src/decode/kernel-layout'

// @ts-ignore: decorator
@inline
export function lengthOf(node: usize): i32 {
  return load<i32>(node, NODE_LENGTH)
}

// @ts-ignore: decorator
@inline
export function values(node: usize): usize {
  return load<u32>(node, NODE_VALUES)
}

// @ts-ignore: decorator
@inline
export function child(node: usize): usize {
  return load<u32>(node, NODE_CHILD)
}

// @ts-ignore: decorator
@inline
export function secondChild(node: usize): usize {
  return load<u32>(node, NODE_SECOND_CHILD)
}

// @ts-ignore: decorator
@inline
export function memberAt(object: usize, index: i32): usize {
  return object + OBJECT_BYTES + index * MEMBER_BYTES
}

// @ts-ignore: decorator
@inline
export function nodeOf(member: usize): usize {
  return load<u32>(member, MEMBER_NODE)
}

/** Where the bytes of the text under way begin. */
// @ts-ignore: decorator
@inline
export function textStart(node: usize): usize {
  return <usize>load<u32>(node, NODE_DATA) + load<u32>(values(node) + (<usize>lengthOf(node) << 2))
}

/** Ends a row that has a value. */
// @ts-ignore: decorator
@inline
export function endRow(node: usize): void {
  const length = lengthOf(node)
  store<u8>(<usize>load<u32>(node, NODE_VALIDITY) + length, 1)
  store<i32>(node, length + 1, NODE_LENGTH)
}

/** Ends a row whose range ends at `end`. */
// @ts-ignore: decorator
@inline
export function endRange(node: usize, end: i32): void {
  store<i32>(values(node) + (<usize>lengthOf(node) << 2), end, 4)
  endRow(node)
}

export function appendNull(node: usize): void {
  const length = lengthOf(node)
  const at = values(node)
  switch (load<i32>(node, NODE_KIND)) {
    case KIND_INT64:
    case KIND_TIMESTAMP:
    case KIND_FLOAT64:
      store<i64>(at + (<usize>length << 3), 0)
      break
    case KIND_INT32:
    case KIND_DATE:
      store<i32>(at + (<usize>length << 2), 0)
      break
    case KIND_INT16:
      store<i16>(at + (<usize>length << 1), 0)
      break
    case KIND_INT8:
    case KIND_BOOLEAN:
      store<u8>(at + length, 0)
      break
    case KIND_PLACE:
      store<i32>(at + (<usize>length << 2), -1)
      break
    case KIND_UTF8:
      store<i32>(at + (<usize>length << 2), load<i32>(at + (<usize>length << 2)), 4)
      break
    case KIND_LIST:
    case KIND_MAP:
      store<i32>(at + (<usize>length << 2), lengthOf(child(node)), 4)
      break
    case KIND_STRUCT: {
      const object = child(node)
      const count = load<i32>(object, OBJECT_COUNT)
      for (let i = 0; i < count; i++) appendNull(nodeOf(memberAt(object, i)))
      break
    }
  }
  store<u8>(<usize>load<u32>(node, NODE_VALIDITY) + length, 0)
  store<i32>(node, load<i32>(node, NODE_NULLS) + 1, NODE_NULLS)
  store<i32>(node, length + 1, NODE_LENGTH)
}

/** Drops every row from `length` on, complete or half appended. */
export function truncate(node: usize, length: i32): void {
  store<i32>(node, length, NODE_LENGTH)
  switch (load<i32>(node, NODE_KIND)) {
    case KIND_LIST:
      truncate(child(node), load<i32>(values(node) + (<usize>length << 2)))
      break
    case KIND_MAP: {
      const end = load<i32>(values(node) + (<usize>length << 2))
      truncate(child(node), end)
      truncate(secondChild(node), end)
      break
    }
    case KIND_STRUCT: {
      const object = child(node)
      const count = load<i32>(object, OBJECT_COUNT)
      for (let i = 0; i < count; i++) truncate(nodeOf(memberAt(object, i)), length)
      break
    }
  }
}

/** Drops every row of the members, and counts the objects that are entered from the first again. */
export function clearObject(object: usize): void {
  store<i32>(object, 0, OBJECT_NUMBER)
  const count = load<i32>(object, OBJECT_COUNT)
  for (let i = 0; i < count; i++) {
    const member = memberAt(object, i)
    store<i32>(member, 0, MEMBER_SEEN_IN)
    clear(nodeOf(member))
  }
}

/** Drops every row. */
export function clear(node: usize): void {
  store<i32>(node, 0, NODE_LENGTH)
  store<i32>(node, 0, NODE_NULLS)
  switch (load<i32>(node, NODE_KIND)) {
    case KIND_UTF8:
      store<i32>(values(node), 0)
      break
    case KIND_LIST:
      store<i32>(values(node), 0)
      clear(child(node))
      break
    case KIND_MAP:
      store<i32>(values(node), 0)
      clear(child(node))
      clear(secondChild(node))
      break
    case KIND_STRUCT:
      clearObject(child(node))
      break
  }
}
