"""Delta Lake on Apache Spark: the log by delta-spark, Parquet by Spark's vectorised reader."""

import glob
import os
import sys
import tempfile
from importlib.metadata import version

from figures import figures_of
from pyspark.sql import SparkSession

BATCH_ROWS = 65536

session = None


def read(request):
    try:
        return read_table(request)
    except Exception as error:
        cause = getattr(error, "java_exception", None)
        if cause is None:
            raise
        while cause.getCause() is not None:
            cause = cause.getCause()
        # Python's text of it is a stack trace of pages.
        raise RuntimeError(f"{cause.getClass().getName()}: {cause.getMessage()}") from None


def read_table(request):
    spark = spark_session()
    reader = spark.read.format("delta")
    if request["version"] is not None:
        reader = reader.option("versionAsOf", request["version"])
    table = reader.load(request["uri"]).toArrow()
    return {
        "engineVersion": f"{version('delta-spark')} on Spark {version('pyspark')}",
        **figures_of(table.to_reader(BATCH_ROWS), request),
        **log_of(spark, request),
    }


def log_of(spark, request):
    """Its Python interface tells neither: the newest version, and the application transactions there."""
    if request["version"] is not None:
        return {"version": request["version"], "txns": {}}
    none = spark._jvm.scala.Option.empty()
    log = spark._jvm.org.apache.spark.sql.delta.DeltaLog.forTable(spark._jsparkSession, request["uri"])
    snapshot = log.update(False, none, none)
    txns = snapshot.setTransactions()
    known = {txns.apply(i).appId(): txns.apply(i).version() for i in range(txns.size())}
    return {
        "version": snapshot.version(),
        "txns": {app_id: known.get(app_id) for app_id in request["appIds"]},
    }


def spark_session():
    """Made with the first request: it takes a while to start."""
    global session
    if session is None:
        folder = tempfile.mkdtemp(prefix="readers-spark-")
        os.environ["PYSPARK_PYTHON"] = sys.executable
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
        jars = ":".join(sorted(glob.glob(os.environ["READERS_SPARK_JARS"])))
        settings = {
            "spark.driver.extraClassPath": jars,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.memory": "2g",
            "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "
            f"-Dderby.system.home={folder}",
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.warehouse.dir": f"{folder}/warehouse",
            "spark.sql.shuffle.partitions": "2",
            "spark.databricks.delta.snapshotPartitions": "2",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }
        builder = SparkSession.builder.master("local[2]").appName("readers")
        for name, value in settings.items():
            builder = builder.config(name, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
    return session
