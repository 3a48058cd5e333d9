"""Polars on one thread (POLARS_MAX_THREADS): newline-delimited JSON into a Parquet file, its schema declared."""

import json
import os
import sys

import polars as pl
from program_clock import ProgramClock

SCALARS = {
    "boolean": pl.Boolean,
    "int32": pl.Int32,
    "int64": pl.Int64,
    "float64": pl.Float64,
    "utf8": pl.String,
    # Epoch milliseconds in the file; made an instant by a cast.
    "timestamp_millisecond": pl.Int64,
}


def polars_type(declared):
    if isinstance(declared, str):
        return SCALARS[declared]
    if "list" in declared:
        return pl.List(polars_type(declared["list"]))
    if "map" in declared:
        # Polars has no maps: a struct of every key that occurs.
        return pl.Struct([pl.Field(key, polars_type(declared["map"])) for key in declared["keys"]])
    return pl.Struct([pl.Field(name, polars_type(field)) for name, field in declared["struct"].items()])


def main():
    clock = ProgramClock()
    settings = json.loads(sys.argv[1])
    columns = settings["columns"]
    schema = {column["name"]: polars_type(column["type"]) for column in columns}
    instants = [c["name"] for c in columns if c["type"] == "timestamp_millisecond"]
    frame = pl.scan_ndjson(settings["file"], schema=schema)
    frame = frame.with_columns(pl.col(instants).cast(pl.Datetime("ms", "UTC")))
    # Streaming takes a little less CPU than `read_ndjson` and `write_parquet`.
    frame.sink_parquet(settings["output"], compression=settings["compression"])
    # From the file's footer.
    rows = pl.scan_parquet(settings["output"]).select(pl.len()).collect().item()
    assert pl.thread_pool_size() == 1, os.environ.get("POLARS_MAX_THREADS")
    clock.report(rows)


main()
