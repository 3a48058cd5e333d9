"""Row count, figures of every leaf column, and the content hash, from record batches of any engine."""

import decimal
import math

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at
from arrow_layout import entries_of, plain_layout
from content_hash import ContentHash

LOW_HALF = 0xFFFFFFFF
# Sums of decimals are exact; the default would round them to 28 digits.
decimal.getcontext().prec = 100


def figures_of(reader, request):
    row_count = 0
    content_hash = ContentHash()
    leaves = {}
    for field in reader.schema:
        # An empty table has no batch, and its columns none the less.
        collect(leaves, field.name, pa.array([], field.type))
    for batch in reader:
        row_count += batch.num_rows
        columns = [plain_layout(column) for column in batch.columns]
        for name, column in zip(batch.schema.names, columns):
            collect(leaves, name, column)
        if request["contentHash"]:
            content_hash.add(batch.schema.names, columns, batch.num_rows)
    answer = {
        "rowCount": row_count,
        "columns": {path: leaf.as_json() for path, leaf in leaves.items()},
    }
    if request["contentHash"]:
        answer["contentHash"] = content_hash.hex()
    return answer


def collect(leaves, path, array):
    """Adds a column's values to the figures of its leaves."""
    array = plain_layout(array)
    kind = array.type
    if at.is_struct(kind):
        for index, child in enumerate(array.flatten()):
            collect(leaves, f"{path}.{kind.field(index).name}", child)
    elif at.is_map(kind):
        entries = entries_of(array)
        collect(leaves, f"{path}.key", entries.field(0))
        collect(leaves, f"{path}.value", entries.field(1))
    elif at.is_large_list(kind):
        collect(leaves, f"{path}.element", array.flatten())
    else:
        leaves.setdefault(path, Leaf()).add(array)


class Leaf:
    """Count, nulls, minimum, maximum and exact sum of a column of simple values."""

    def __init__(self):
        self.kind = None
        self.count = self.nulls = 0
        self.min = self.max = self.sum = None
        self.floats = []

    def add(self, array):
        self.kind = array.type
        self.nulls += array.null_count
        self.count += len(array) - array.null_count
        values = array.drop_null()
        if len(values) == 0:
            return
        if at.is_floating(values.type):
            self.floats.append(values.cast(pa.float64()))
            return
        if at.is_date(values.type):
            values = values.cast(pa.int32())
        elif at.is_timestamp(values.type):
            values = values.cast(pa.int64())
        bounds = pc.min_max(values)
        low, high = bounds["min"].as_py(), bounds["max"].as_py()
        self.min = low if self.min is None else min(self.min, low)
        self.max = high if self.max is None else max(self.max, high)
        part = exact_sum(values)
        if part is not None:
            self.sum = part if self.sum is None else self.sum + part

    def as_json(self):
        if self.floats:
            self.add_up_floats()
        return {
            "type": str(self.kind),
            "count": self.count,
            "nulls": self.nulls,
            "min": text(self.min),
            "max": text(self.max),
            "sum": text(self.sum),
        }

    def add_up_floats(self):
        """All at once: the exact sum does not depend on how an engine cuts its batches."""
        values = pa.chunked_array(self.floats)
        numbers = values.filter(pc.invert(pc.is_nan(values)))
        try:
            self.sum = math.fsum(values.to_pylist())
        except (OverflowError, ValueError):  # Beyond the largest float, or infinities of both signs.
            self.sum = math.nan
        if len(numbers) > 0:
            bounds = pc.min_max(numbers)
            # Adding zero makes -0.0 the same bound as 0.0, which it equals.
            self.min, self.max = bounds["min"].as_py() + 0.0, bounds["max"].as_py() + 0.0


def exact_sum(values):
    kind = values.type
    if at.is_integer(kind):
        wide = values.cast(pa.int64())
        high = pc.sum(pc.shift_right(wide, 32)).as_py()
        return (high << 32) + pc.sum(pc.bit_wise_and(wide, LOW_HALF)).as_py()
    if at.is_decimal(kind):
        return pc.sum(values.cast(pa.decimal256(76, kind.scale))).as_py()
    if at.is_boolean(kind):
        return pc.sum(values).as_py()
    if at.is_large_string(kind) or at.is_large_binary(kind):
        return pc.sum(pc.binary_length(values)).as_py()
    return None


def text(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float):
        return repr(value)
    return format(value, "f") if isinstance(value, decimal.Decimal) else str(value)
