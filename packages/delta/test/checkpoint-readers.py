"""Reads Delta tables whose older commits are gone, so that only the checkpoint can tell what is in them.

The one argument is a manifest: [{"path": ..., "txn": [app id, version], "rows": [{"id": ..., ...}]}, ...]. Each value is looked
up with a predicate too, which readers answer by the statistics and partition values in the checkpoint. Prints one JSON document:
{"tables": count, "problems": [{"path": ..., "reader": ..., "problem": ...}, ...]}.
"""

import glob
import importlib
import json
import os
import sys

import deltalake
import duckdb
import pyarrow as pa


def read_with_delta_rs(table):
    opened = deltalake.DeltaTable(table["path"])

    def ids(condition):
        rows = deltalake.QueryBuilder().register("t", opened).execute(f"select id from t where {condition}")
        return pa.table(rows)["id"].to_pylist()

    app_id, version = table["txn"]
    return ids, opened.transaction_version(app_id) == version


def read_with_duckdb(table):
    connection = duckdb.connect()
    package = os.path.dirname(importlib.import_module("duckdb_extension_delta").__file__)
    [path] = glob.glob(os.path.join(package, "extensions", f"v{duckdb.__version__}", "*.duckdb_extension"))
    connection.execute(f"LOAD '{path}'")

    def ids(condition):
        rows = connection.execute(f"select id from delta_scan('{table['path']}') where {condition}")
        return [row[0] for row in rows.fetchall()]

    return ids, True


def conditions_of(expected):
    yield "true", lambda row: True
    for row in expected:
        yield f"id = {row['id']}", lambda other, row=row: other["id"] == row["id"]
        yield f"amount = cast('{row['amount']}' as decimal(20, 3))", lambda other, row=row: other["amount"] == row["amount"]
        yield f"\"at\" = cast('{row['at']}' as timestamptz)", lambda other, row=row: other["at"] == row["at"]
        yield f"\"day\" = date '{row['day']}'", lambda other, row=row: other["day"] == row["day"]


def problems_of(table, read):
    ids, has_txn = read(table)
    if not has_txn:
        yield "another txn"
    for condition, matches in conditions_of(table["rows"]):
        expected = sorted(int(row["id"]) for row in table["rows"] if matches(row))
        found = sorted(ids(condition))
        if found != expected:
            yield f"{condition}: {found} instead of {expected}"


READERS = {"delta-rs": read_with_delta_rs, "duckdb": read_with_duckdb}

with open(sys.argv[1]) as file:
    manifest = json.load(file)
problems = []
for table in manifest:
    for name, read in READERS.items():
        try:
            found = list(problems_of(table, read))
        except Exception as error:  # Whatever a reader throws is what is wrong with the table.
            found = [f"{type(error).__name__}: {error}"]
        problems += [{"path": table["path"], "reader": name, "problem": problem} for problem in found]
print(json.dumps({"tables": len(manifest), "problems": problems}))
