"""Reads Delta tables with delta-rs, DuckDB and Spark and prints what each of them sees.

Requests are JSON documents on standard input, one a line, so that keys appear in no argument list:

    {"uri": "s3://lake/t", "engines": ["delta-rs", "duckdb"], "version": null, "appIds": [],
     "contentHash": false, "checkStatistics": false,
     "s3": {"endpoint": "http://…", "accessKey": "…", "secretKey": "…", "region": "us-east-1"}}

The answer is one JSON document a line, one for each engine in its order; scripts/stack/readers.ts describes its fields.
An engine that cannot read the table answers {"engine": …, "error": …} and the exit code stays 0: the caller judges.
"""

import importlib
import json
import os
import sys

MODULES = {"delta-rs": "engine_delta_rs", "duckdb": "engine_duckdb", "spark": "engine_spark"}


def main():
    # What a library prints must not look like an answer.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        for engine in request["engines"]:
            try:
                answer = importlib.import_module(MODULES[engine]).read(request)
            # Whatever an engine throws is the answer about that engine; a panic of Rust is no Exception.
            except BaseException as error:
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    raise
                answer = {"error": f"{type(error).__name__}: {error}"}
            print(json.dumps({"engine": engine, **answer}), file=answers, flush=True)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    main()
