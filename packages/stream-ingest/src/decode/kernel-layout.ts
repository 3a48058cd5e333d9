/**
 * How plans and staged columns lie in the kernel's memory: read by both sides, so no types here that only one knows.
 *
 * A node is a value and its staged column; an object is a list of members, each a node with its key. Sizes and offsets are
 * bytes, pointers and counts are 32 bits each.
 *
 * @module
 */

export const KIND_UTF8 = 0
export const KIND_INT64 = 1
export const KIND_INT32 = 2
export const KIND_INT16 = 3
export const KIND_INT8 = 4
export const KIND_FLOAT64 = 5
export const KIND_BOOLEAN = 6
export const KIND_TIMESTAMP = 7
export const KIND_DATE = 8
export const KIND_STRUCT = 9
export const KIND_LIST = 10
export const KIND_MAP = 11
/** Walked over: its position is noted, and somebody else decodes it. */
export const KIND_PLACE = 12

export const NODE_BYTES = 64
export const NODE_KIND = 0
export const NODE_NULLABLE = 4
/** Rows so far. */
export const NODE_LENGTH = 8
/** At least as many as there are nulls; 0 where there are none. */
export const NODE_NULLS = 12
/** A byte a row: 1 where there is a value. */
export const NODE_VALIDITY = 16
/** The values; for texts, lists and maps the offsets, one more than rows; for places positions, −1 where there is none. */
export const NODE_VALUES = 20
/** The bytes of texts. */
export const NODE_DATA = 24
/** Members of a struct, element of a list, key of a map. */
export const NODE_CHILD = 28
/** Value of a map. */
export const NODE_SECOND_CHILD = 32
/** Units of a timestamp's integer in a second. */
export const NODE_UNITS_PER_SECOND = 36
/** Bounds of integers, both included; 64 bits each. */
export const NODE_MIN = 40
export const NODE_MAX = 48

export const OBJECT_BYTES = 16
export const OBJECT_COUNT = 0
/** Numbers the objects that a scan has entered, so that "seen in this one" needs no clearing between them. */
export const OBJECT_NUMBER = 4
/** Does an object with a key that no member has need another look? */
export const OBJECT_NOTES_UNKNOWN = 8
/** The member that came first in the last object. */
export const OBJECT_FIRST = 12

/** Members follow their object. */
export const MEMBER_BYTES = 20
export const MEMBER_NODE = 0
/** The key as in JSON, with its closing quote. */
export const MEMBER_KEY = 4
export const MEMBER_KEY_BYTES = 8
/** The member that followed this one the last time. */
export const MEMBER_FOLLOWER = 12
/** Number of the object in which it was last seen. */
export const MEMBER_SEEN_IN = 16

/** A number that takes more than a division: whose it is, its row, and where its text is. */
export const HARD_FLOAT_BYTES = 16
export const HARD_FLOAT_NODE = 0
export const HARD_FLOAT_ROW = 4
export const HARD_FLOAT_START = 8
export const HARD_FLOAT_END = 12

/** Texts and keys are read and written 16 bytes at a time, whatever their length. */
export const SLACK_BYTES = 16
