"""Reads one Delta table with delta-rs and with DuckDB and prints what each of them sees.

The request is a JSON document on standard input, so that keys appear in no argument list:

    {"uri": "s3://lake/t", "engines": ["delta-rs", "duckdb"], "version": null, "appIds": [],
     "contentHash": false, "checkStatistics": false,
     "s3": {"endpoint": "http://…", "accessKey": "…", "secretKey": "…", "region": "us-east-1"}}

The answer is one JSON document a line, one for each engine; scripts/stack/readers.ts describes its fields. An engine
that cannot read the table answers {"engine": …, "error": …} and the exit code stays 0: the caller judges.
"""

import decimal
import glob
import hashlib
import importlib
import json
import math
import os
import sys
import urllib.parse
from datetime import timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as at

BATCH_ROWS = 65536
HASH_MODULUS = 1 << 128
LOW_HALF = 0xFFFFFFFF
# The protocol lets a writer cut a timestamp bound to whole milliseconds.
TIMESTAMP_BOUND_SLACK = timedelta(milliseconds=1)
PROBLEMS_MAX = 50


def main():
    # Sums of decimals are exact; the default would round them to 28 digits.
    decimal.getcontext().prec = 100
    request = json.load(sys.stdin)
    for engine in request["engines"]:
        try:
            answer = ENGINES[engine](request)
        except Exception as error:  # Whatever an engine throws is the answer about that engine.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps({"engine": engine, **answer}), flush=True)


# --- engines


def read_with_delta_rs(request):
    import deltalake

    table = open_delta_rs(request)
    rows = deltalake.QueryBuilder().register("t", table).execute("select * from t")
    return {
        "engineVersion": deltalake.__version__,
        "version": table.version(),
        **figures_of(pa.RecordBatchReader.from_stream(rows), request),
        "txns": {app_id: table.transaction_version(app_id) for app_id in request["appIds"]},
    }


def open_delta_rs(request):
    import deltalake

    s3 = request.get("s3")
    options = s3 and {
        "AWS_ENDPOINT_URL": s3["endpoint"],
        "AWS_ACCESS_KEY_ID": s3["accessKey"],
        "AWS_SECRET_ACCESS_KEY": s3["secretKey"],
        "AWS_REGION": s3["region"],
        "AWS_ALLOW_HTTP": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
    }
    return deltalake.DeltaTable(request["uri"], version=request["version"], storage_options=options)


def read_with_duckdb(request):
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    load_duckdb_extensions(connection, duckdb.__version__, request)
    scan = duckdb_scan(request)
    rows = connection.execute(f"SELECT * FROM {scan}").to_arrow_reader(BATCH_ROWS)
    answer = {
        "engineVersion": duckdb.__version__,
        "version": None,
        **figures_of(rows, request),
        "txns": duckdb_txns(connection, request),
    }
    if request["checkStatistics"]:
        answer.update(check_statistics(connection, scan, request))
    return answer


def load_duckdb_extensions(connection, version, request):
    for name in ("delta", "httpfs"):
        package = os.path.dirname(importlib.import_module(f"duckdb_extension_{name}").__file__)
        [path] = glob.glob(os.path.join(package, "extensions", f"v{version}", "*.duckdb_extension"))
        connection.execute(f"LOAD {sql_text(path)}")
    s3 = request.get("s3")
    if s3:
        endpoint = urllib.parse.urlsplit(s3["endpoint"])
        connection.execute(
            f"CREATE SECRET (TYPE s3, KEY_ID {sql_text(s3['accessKey'])}, SECRET {sql_text(s3['secretKey'])}, "
            f"REGION {sql_text(s3['region'])}, ENDPOINT {sql_text(endpoint.netloc)}, URL_STYLE 'path', "
            f"USE_SSL {str(endpoint.scheme == 'https').lower()})"
        )


def duckdb_scan(request):
    version = request["version"]
    at_version = "" if version is None else f", version = {int(version)}"
    return f"delta_scan({sql_text(request['uri'])}{at_version})"


def duckdb_txns(connection, request):
    """It knows the application transactions of the newest version alone."""
    if not request["appIds"] or request["version"] is not None:
        return {}
    connection.execute(f"ATTACH {sql_text(request['uri'])} AS attached (TYPE delta)")
    found = {}
    for app_id in request["appIds"]:
        rows = connection.execute(
            "SELECT * FROM delta_get_transaction_version('attached', ?)", [app_id]
        ).fetchall()
        found[app_id] = rows[0][0] if rows else None
    connection.execute("DETACH attached")
    return found


def sql_text(value):
    return "'" + value.replace("'", "''") + "'"


def sql_name(*path):
    return ".".join('"' + name.replace('"', '""') + '"' for name in path)


ENGINES = {"delta-rs": read_with_delta_rs, "duckdb": read_with_duckdb}


# --- figures over all rows


def figures_of(reader, request):
    row_count = 0
    hash_sum = 0
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
            hash_sum += sum_of_row_hashes(columns, batch.num_rows)
    answer = {
        "rowCount": row_count,
        "columns": {path: leaf.as_json() for path, leaf in leaves.items()},
    }
    if request["contentHash"]:
        answer["contentHash"] = f"{hash_sum % HASH_MODULUS:032x}"
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


# --- content hash


def sum_of_row_hashes(columns, row_count):
    total = 0
    values = [json_values(column) for column in columns]
    for index in range(row_count):
        row = compact_json([column[index] for column in values])
        total += int.from_bytes(hashlib.sha256(row.encode("utf-8")).digest()[:16], "big")
    return total % HASH_MODULUS


def compact_json(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_values(array):
    """One value for each row, of the kinds that JSON has, as the hash's definition in readers.ts says."""
    array = plain_layout(array)
    kind = array.type
    if at.is_struct(kind):
        fields = [json_values(child) for child in array.flatten()]
        return [list(row) if valid else None for *row, valid in zip(*fields, array.is_valid().to_pylist())]
    if at.is_large_list(kind):
        lengths = pc.list_value_length(array).to_pylist()
        return split(json_values(array.flatten()), lengths)
    if at.is_map(kind):
        entries = entries_of(array)
        pairs = [list(pair) for pair in zip(json_values(entries.field(0)), json_values(entries.field(1)))]
        rows = split(pairs, map_lengths(array))
        return [None if row is None else sorted(row, key=compact_json) for row in rows]
    if at.is_timestamp(kind):
        return array.cast(pa.int64()).to_pylist()
    if at.is_date(kind):
        return array.cast(pa.int32()).to_pylist()
    if at.is_floating(kind):
        return [None if value is None else float_bits(value) for value in array.cast(pa.float64()).to_pylist()]
    if at.is_decimal(kind):
        return [None if value is None else format(value, "f") for value in array.to_pylist()]
    if at.is_large_binary(kind):
        return [None if value is None else value.hex() for value in array.to_pylist()]
    return array.to_pylist()


def map_lengths(array):
    offsets = array.offsets.to_pylist()
    valid = array.is_valid().to_pylist()
    return [offsets[i + 1] - offsets[i] if valid[i] else None for i in range(len(array))]


def split(values, lengths):
    """Cuts the values of all rows into rows; a length of None is a null row."""
    rows = []
    start = 0
    for length in lengths:
        rows.append(None if length is None else values[start : start + length])
        start += length or 0
    return rows


def float_bits(value):
    return "7ff8000000000000" if math.isnan(value) else pa.array([value]).buffers()[1].to_pybytes()[7::-1].hex()


# --- statistics in the log against the rows


def check_statistics(connection, scan, request):
    """Whether every file's statistics, as delta-rs parses them, bound what DuckDB finds in that file."""
    actions = pa.table(open_delta_rs(request).get_add_actions(flatten=True))
    schema = connection.execute(f"SELECT * FROM {scan} LIMIT 0").to_arrow_table().schema
    paths = [path for field in schema for path in simple_paths(field)]
    checked = [path for path in paths if f"null_count.{'.'.join(path)}" in actions.column_names]
    found = rows_by_file(connection, scan, checked)
    problems = []
    bound_count = 0
    for action in actions.to_pylist():
        name = urllib.parse.unquote(action["path"])
        matches = [figures for file, figures in found.items() if file.endswith(name)]
        actual = matches[0] if matches else {"rows": 0}
        if action["num_records"] is not None and action["num_records"] != actual["rows"]:
            problems.append(f"{name}: numRecords is {action['num_records']}, the file has {actual['rows']} rows")
        if not matches:
            continue
        for path in checked:
            key = ".".join(path)
            nulls, low, high = (action.get(f"{stat}.{key}") for stat in ("null_count", "min", "max"))
            if nulls is not None and nulls != actual["rows"] - actual[key][0]:
                problems.append(f"{name}: nullCount of {key} is {nulls}, not {actual['rows'] - actual[key][0]}")
            bound_count += (low is not None) + (high is not None)
            problems.extend(f"{name}: {key}: {wrong}" for wrong in bound_problems(low, high, actual[key]))
    return {
        "statisticsProblems": problems[:PROBLEMS_MAX],
        "statisticsFileCount": actions.num_rows,
        "statisticsBoundCount": bound_count,
    }


def bound_problems(low, high, figures):
    _, actual_low, actual_high = figures
    if low is not None and actual_low is not None and low > actual_low:
        yield f"minimum {low!r} is above {actual_low!r}"
    if high is not None and actual_high is not None:
        slack = TIMESTAMP_BOUND_SLACK if hasattr(high, "microsecond") else None
        if (high + slack <= actual_high) if slack else high < actual_high:
            yield f"maximum {high!r} is below {actual_high!r}"


def simple_paths(field, parents=()):
    path = (*parents, field.name)
    if at.is_struct(field.type):
        return [leaf for child in field.type for leaf in simple_paths(child, path)]
    return [path]


def rows_by_file(connection, scan, paths):
    expressions = ["filename", "count(*)"]
    for path in paths:
        name = sql_name(*path)
        expressions += [f"count({name})", f"min({name})", f"max({name})"]
    rows = connection.execute(f"SELECT {', '.join(expressions)} FROM {scan} GROUP BY filename").to_arrow_table()
    found = {}
    for row in zip(*(column.to_pylist() for column in rows.columns)):
        figures = {"rows": row[1]}
        for index, path in enumerate(paths):
            figures[".".join(path)] = row[2 + 3 * index : 5 + 3 * index]
        found[row[0]] = figures
    return found


if __name__ == "__main__":
    main()
