"""DuckDB on one thread: newline-delimited JSON into a Parquet file, its columns declared."""

import json
import sys

import duckdb
from program_clock import ProgramClock

SCALARS = {
    "boolean": "BOOLEAN",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "utf8": "VARCHAR",
    # Epoch milliseconds in the file; made an instant by the SELECT.
    "timestamp_millisecond": "BIGINT",
}


def sql_type(declared):
    if isinstance(declared, str):
        return SCALARS[declared]
    if "list" in declared:
        return f"{sql_type(declared['list'])}[]"
    if "map" in declared:
        return f"MAP(VARCHAR, {sql_type(declared['map'])})"
    fields = ", ".join(f'"{name}" {sql_type(field)}' for name, field in declared["struct"].items())
    return f"STRUCT({fields})"


def selected(column):
    name = f'"{column["name"]}"'
    return f"epoch_ms({name}) AS {name}" if column["type"] == "timestamp_millisecond" else name


def main():
    clock = ProgramClock()
    settings = json.loads(sys.argv[1])
    columns = ", ".join(f"'{c['name']}': '{sql_type(c['type'])}'" for c in settings["columns"])
    connection = duckdb.connect(config={"threads": 1})
    (rows,) = connection.execute(
        f"""COPY (
          SELECT {', '.join(selected(c) for c in settings['columns'])}
          FROM read_json('{settings['file']}', format = 'newline_delimited', columns = {{{columns}}})
        ) TO '{settings['output']}' (FORMAT parquet, COMPRESSION '{settings['compression']}')"""
    ).fetchone()
    clock.report(rows)


main()
