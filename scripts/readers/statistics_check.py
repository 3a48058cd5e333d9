"""Statistics in the log, as delta-rs parses them, against the rows that DuckDB finds in each file."""

import urllib.parse
from datetime import timedelta

import engine_delta_rs
import pyarrow as pa
import pyarrow.types as at
from sql import sql_name

# The protocol lets a writer cut a timestamp bound to whole milliseconds.
TIMESTAMP_BOUND_SLACK = timedelta(milliseconds=1)
PROBLEMS_MAX = 50


def check_statistics(connection, scan, request):
    """Whether every file's statistics, as delta-rs parses them, bound what DuckDB finds in that file."""
    actions = pa.table(engine_delta_rs.open_table(request).get_add_actions(flatten=True))
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
