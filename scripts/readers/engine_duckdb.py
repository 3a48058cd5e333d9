"""DuckDB with its Delta extension: the log by delta-kernel-rs, Parquet by DuckDB."""

import glob
import importlib
import os
import urllib.parse

import duckdb
from figures import figures_of
from statistics_check import check_statistics
from sql import sql_text

BATCH_ROWS = 65536


def read(request):
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    load_extensions(connection, duckdb.__version__, request)
    scan = scan_of(request)
    rows = connection.execute(f"SELECT * FROM {scan}").to_arrow_reader(BATCH_ROWS)
    answer = {
        "engineVersion": duckdb.__version__,
        "version": None,
        **figures_of(rows, request),
        "txns": txns_of(connection, request),
    }
    if request["checkStatistics"]:
        answer.update(check_statistics(connection, scan, request))
    return answer


def load_extensions(connection, version, request):
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


def scan_of(request):
    version = request["version"]
    at_version = "" if version is None else f", version = {int(version)}"
    return f"delta_scan({sql_text(request['uri'])}{at_version})"


def txns_of(connection, request):
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
