"""The content hash of a table, as packages/delta/test/content-hash.ts defines it."""

import hashlib
import json
import math
import struct

import pyarrow as pa
import pyarrow.types as at
from arrow_layout import entries_of, plain_layout

HASH_MODULUS = 1 << 128


class ContentHash:
    def __init__(self):
        self.sum = 0

    def add(self, names, columns, row_count):
        order = sorted(range(len(names)), key=lambda index: names[index].encode("utf-8"))
        fields = fields_text([names[index] for index in order], [texts(columns[index]) for index in order], row_count)
        for row in fields:
            self.sum += int.from_bytes(hashlib.sha256(row.encode("utf-8")).digest()[:16], "big")

    def hex(self):
        return f"{self.sum % HASH_MODULUS:032x}"


def fields_text(names, columns, row_count):
    keys = [f"{json_text(name)}:" for name in names]
    rows = zip(*columns) if columns else [()] * row_count
    return ["{" + ",".join(key + value for key, value in zip(keys, row)) + "}" for row in rows]


def texts(array):
    """The text of each value."""
    array = plain_layout(array)
    kind = array.type
    if at.is_struct(kind):
        names = [kind.field(index).name for index in range(kind.num_fields)]
        rows = fields_text(names, [texts(child) for child in array.flatten()], len(array))
        return [row if valid else "null" for row, valid in zip(rows, array.is_valid().to_pylist())]
    if at.is_large_list(kind):
        return sequences(array, texts(array.flatten()), "[]", False)
    if at.is_map(kind):
        entries = entries_of(array)
        pairs = [f"{key}:{value}" for key, value in zip(texts(entries.field(0)), texts(entries.field(1)))]
        return sequences(array, pairs, "<>", True)
    if at.is_timestamp(kind):
        prefix = "N" if kind.tz is None else "T"
        return each(array.cast(pa.int64()), lambda micros: f"{prefix}{micros}")
    if at.is_date(kind):
        return each(array.cast(pa.int32()), lambda days: f"D{days}")
    if at.is_float32(kind):
        return each(array, lambda value: "f7fc00000" if math.isnan(value) else f"f{struct.pack('>f', value).hex()}")
    if at.is_float64(kind):
        return each(array, lambda value: "d7ff8000000000000" if math.isnan(value) else f"d{struct.pack('>d', value).hex()}")
    if at.is_decimal(kind):
        return each(array, lambda value: format(value, "f"))
    if at.is_large_binary(kind):
        return each(array, lambda value: f"x{value.hex()}")
    if at.is_large_string(kind):
        return each(array, json_text)
    if at.is_boolean(kind):
        return each(array, lambda value: "true" if value else "false")
    if at.is_integer(kind) or at.is_null(kind):
        return each(array, str)
    raise TypeError(f"the content hash has no text for {kind}")


def each(array, text_of):
    return ["null" if value is None else text_of(value) for value in array.to_pylist()]


def sequences(array, items, brackets, is_sorted):
    """Cuts the texts of all rows' items into rows. Null rows have none."""
    offsets = array.offsets.to_pylist()
    rows = []
    start = 0
    for index, valid in enumerate(array.is_valid().to_pylist()):
        if not valid:
            rows.append("null")
            continue
        end = start + offsets[index + 1] - offsets[index]
        row = items[start:end]
        if is_sorted:
            row.sort(key=lambda text: text.encode("utf-8"))
        rows.append(brackets[0] + ",".join(row) + brackets[1])
        start = end
    return rows


def json_text(value):
    return json.dumps(value, ensure_ascii=False)
