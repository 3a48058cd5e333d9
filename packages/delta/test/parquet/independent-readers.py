"""Reads Parquet files with pyarrow and DuckDB, and tables with delta-rs, and compares them with what was written.

The one argument is a manifest: [{"path": ..., "columns": {name: [value, ...]}}, ...] with values in the canonical form
of `canonical` below; `"isTable": true` beside them for a Delta table of one file. Prints one JSON document:
{"files": count, "problems": [{"path": ..., "reader": ..., "problem": ...}, ...]}.
"""

import json
import math
import struct
import sys

import deltalake
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

# Longer bounds are left out of the statistics.
BOUND_MAX_BYTES = 1024


def canonical(array):
    """Exact values of an Arrow array: text for numbers, hexadecimal for bytes, entries for maps."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return canonical(array.dictionary_decode())
    if pa.types.is_struct(kind):
        names = [kind.field(i).name for i in range(kind.num_fields)]
        columns = [canonical(child) for child in array.flatten()]
        rows = [dict(zip(names, row)) for row in zip(*columns)]
        return with_nulls(array, rows)
    if pa.types.is_map(kind):
        entries = [list(entry) for entry in zip(canonical(array.keys), canonical(array.items))]
        return with_nulls(array, ranges(array, entries))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return with_nulls(array, ranges(array, canonical(array.values)))
    if pa.types.is_date32(kind):
        array = array.cast(pa.int32())
    elif pa.types.is_timestamp(kind):
        assert kind.unit == "us", kind
        array = array.cast(pa.int64())
    elif pa.types.is_decimal(kind):
        return [None if v is None else str(unscaled(v, kind.scale)) for v in array.to_pylist()]
    return [canonical_scalar(v) for v in array.to_pylist()]


def ranges(array, values):
    offsets = array.offsets.to_pylist()
    return [values[a:b] for a, b in zip(offsets, offsets[1:])]


def with_nulls(array, rows):
    return [row if valid else None for row, valid in zip(rows, array.is_valid().to_pylist())]


def unscaled(value, scale):
    sign, digits, exponent = value.as_tuple()
    magnitude = int("".join(map(str, digits))) * 10 ** (exponent + scale)
    return -magnitude if sign else magnitude


def canonical_scalar(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else struct.pack(">d", value).hex()
    assert isinstance(value, bytes), type(value)
    return value.hex()


def read_with_pyarrow(path):
    # Through the file, chunk by chunk: maps inside structs cannot always be combined.
    columns = {}
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            for name in table.column_names:
                for chunk in table.column(name).chunks:
                    columns.setdefault(name, []).extend(canonical(chunk))
    return columns


def read_with_duckdb(connection, path):
    table = connection.execute("select * from read_parquet(?)", [path]).to_arrow_table()
    columns = {}
    for name in table.column_names:
        columns[name] = [value for chunk in table.column(name).chunks for value in canonical(chunk)]
    return columns


def read_with_delta_rs(path):
    rows = deltalake.QueryBuilder().register("t", deltalake.DeltaTable(path)).execute("select * from t")
    table = pa.RecordBatchReader.from_stream(rows).read_all()
    columns = {}
    for name in table.column_names:
        columns[name] = [value for chunk in table.column(name).chunks for value in canonical(chunk)]
    return columns


def size_of(value):
    return len(value.encode()) if isinstance(value, str) else len(value) if isinstance(value, bytes) else 0


def check_statistics(path):
    """Minimum, maximum and null count of every column chunk that is not nested are those of its rows."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            for index in range(file.metadata.num_columns):
                chunk = file.metadata.row_group(group).column(index)
                statistics = chunk.statistics
                assert statistics is not None, f"{chunk.path_in_schema} has no statistics"
                if "." in chunk.path_in_schema:
                    continue
                column = table.column(chunk.path_in_schema)
                assert statistics.null_count == column.null_count, f"{chunk.path_in_schema}: null count"
                if pa.types.is_timestamp(column.type):
                    # Beyond the years that Python's datetime has.
                    continue
                if pa.types.is_date32(column.type):
                    values = [v for v in column.cast(pa.int32()).to_pylist() if v is not None]
                    bounds = None
                else:
                    values = [v for v in column.to_pylist() if v is not None]
                    bounds = statistics.has_min_max
                if any(isinstance(v, float) and math.isnan(v) for v in values) or not values:
                    assert not statistics.has_min_max, f"{chunk.path_in_schema}: bounds beside NaN or nulls alone"
                elif max(map(size_of, values)) > BOUND_MAX_BYTES:
                    assert not statistics.has_min_max, f"{chunk.path_in_schema}: long bounds"
                elif bounds is None:
                    assert statistics.has_min_max
                else:
                    assert bounds, f"{chunk.path_in_schema} has no bounds"
                    key = (lambda v: v.encode()) if isinstance(values[0], str) else None
                    low, high = min(values, key=key), max(values, key=key)
                    assert statistics.min == low, f"{chunk.path_in_schema}: min {statistics.min!r} is not {low!r}"
                    assert statistics.max == high, f"{chunk.path_in_schema}: max {statistics.max!r} is not {high!r}"


def check_pruning(connection, path):
    """A filter that the statistics may answer finds as many rows as one that they may not."""
    described = connection.execute("describe select * from read_parquet(?)", [path]).fetchall()
    for name, kind, *_ in described:
        if "(" in kind.replace("DECIMAL(", "") or "[" in kind or kind.startswith(("STRUCT", "MAP")):
            continue
        counted = f'select count(*) from read_parquet(?) where "{name}"'
        for bound in ("min", "max"):
            query = f'select {bound}("{name}") from read_parquet(?)'
            found = connection.execute(f"{counted} = ({query})", [path, path]).fetchone()[0]
            present = connection.execute(f'select count("{name}") from read_parquet(?)', [path]).fetchone()[0]
            assert (found > 0) == (present > 0), f"{name}: no row has the {bound}"


def problem_of(expected, actual):
    if list(expected) != list(actual):
        return f"columns {list(actual)} instead of {list(expected)}"
    for name, values in expected.items():
        if len(values) != len(actual[name]):
            return f"{name}: {len(actual[name])} rows instead of {len(values)}"
        for row, (want, got) in enumerate(zip(values, actual[name])):
            if want != got:
                return f"{name}, row {row}: {got!r} instead of {want!r}"
    return None


def main():
    with open(sys.argv[1], encoding="utf-8") as manifest:
        files = json.load(manifest)
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    problems = []
    for file in files:
        path = file["path"]
        of_table = {"delta-rs": lambda: problem_of(file["columns"], read_with_delta_rs(path))}
        checks = of_table if file.get("isTable") else {
            "pyarrow": lambda: problem_of(file["columns"], read_with_pyarrow(path)),
            "pyarrow statistics": lambda: check_statistics(path),
            "duckdb": lambda: problem_of(file["columns"], read_with_duckdb(connection, path)),
            "duckdb statistics": lambda: check_pruning(connection, path),
        }
        for reader, check in checks.items():
            try:
                problem = check()
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            if problem is not None:
                problems.append({"path": path, "reader": reader, "problem": problem})
    print(json.dumps({"files": len(files), "problems": problems}))


main()
