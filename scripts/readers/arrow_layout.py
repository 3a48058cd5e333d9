"""Arrow arrays in the one layout that figures and hashes are made from."""

import pyarrow as pa
import pyarrow.types as at


def plain_layout(array):
    """The same values without dictionaries, views and extension types, lists always with 64-bit offsets."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return plain_layout(array.storage)
    if at.is_dictionary(kind):
        return plain_layout(array.dictionary_decode())
    if at.is_string(kind) or at.is_string_view(kind):
        return array.cast(pa.large_string())
    if at.is_binary(kind) or at.is_binary_view(kind) or at.is_fixed_size_binary(kind):
        return array.cast(pa.large_binary())
    if at.is_list(kind) or at.is_list_view(kind) or at.is_large_list_view(kind) or at.is_fixed_size_list(kind):
        return array.cast(pa.large_list(kind.value_field))
    if at.is_date64(kind):
        return array.cast(pa.date32())
    if at.is_timestamp(kind) and kind.unit != "us":
        return array.cast(pa.timestamp("us", kind.tz))
    return array


def entries_of(array):
    """Keys and values of the maps that are not null."""
    array = array.drop_null()
    if len(array) == 0:
        return pa.StructArray.from_arrays([array.keys[:0], array.items[:0]], names=["key", "value"])
    first, last = array.offsets[0].as_py(), array.offsets[-1].as_py()
    length = last - first
    keys, items = array.keys.slice(first, length), array.items.slice(first, length)
    return pa.StructArray.from_arrays([keys, items], names=["key", "value"])
