"""Reads a Parquet export with pandas, ClickHouse (chDB), pyiceberg (add_files) and, where there is Java, Spark: row counts
and sums equal SQLite's. Spark also runs its example in deploy/README.md.

Usage: engines.py EXPORT DATABASE
"""

import contextlib
import io
import json
import os
import pathlib
import re
import shutil
import sqlite3
import sys
import tempfile

import chdb
import pandas
import pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog
from pyspark.sql import SparkSession

# The Spark types of columns that a table may have.
SPARK_TYPES = {
    "scraped_at": "timestamp", "to_at": "timestamp", "last_scrape_time": "timestamp", "date": "date", "is_gap": "boolean",
    "is_active": "boolean", "hours": "double", "view_count": "bigint", "follower_count": "bigint", "metadata": "string",
    "video_id": "string",
}

root, database = pathlib.Path(sys.argv[1]), sys.argv[2]
mirror = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
tables = json.loads((root / "manifest.json").read_text())["tables"]
# Their rows depend on the time of the query.
tables = {name: table for name, table in tables.items() if name != "freshness" and table["files"]}
home = tempfile.TemporaryDirectory()
catalog = SqlCatalog("local", uri=f"sqlite:///{home.name}/catalog.db", warehouse=f"file://{home.name}")
catalog.create_namespace("mirror")


def in_sqlite(name, columns):
    sums = "".join(f", sum({column})" for column in columns)
    return list(mirror.execute(f"SELECT count(*){sums} FROM {name}").fetchone())


def in_pandas(name, columns):
    frame = pandas.read_parquet(root / name, dtype_backend="pyarrow")
    return [len(frame)] + [frame[column].dropna().sum() if frame[column].notna().any() else None for column in columns]


def in_clickhouse(name, columns):
    sums = "".join(f", sum({column})" for column in columns)
    sql = f"SELECT count(){sums} FROM file('{root}/{name}/**/*.parquet', Parquet) SETTINGS output_format_json_quote_64bit_integers = 0"
    return json.loads(str(chdb.query(sql, "JSONCompactEachRow")))


def in_iceberg(name, columns):
    files = [str(root / file["path"]) for file in tables[name]["files"]]
    table = catalog.create_table(f"mirror.{name}", schema=pyarrow.parquet.read_schema(files[0]))
    table.add_files(files)
    read = table.scan().to_arrow()
    return [read.num_rows] + [pyarrow.compute.sum(read[column]).as_py() for column in columns]


def in_spark(name, columns):
    frame = spark.read.parquet(str(root / name))
    for column, kind in frame.dtypes:
        assert kind == SPARK_TYPES.get(column, kind), f"{name}.{column}: {kind}"
    sums = [f"sum(`{column}`)" for column in columns]
    return list(frame.selectExpr("count(*)", *sums).collect()[0])


def run_spark_example():
    readme = (pathlib.Path(__file__).parents[2] / "deploy/README.md").read_text()
    month = min(path.name for path in (root / "video_growth").iterdir()).removeprefix("month=")
    example = re.search(r"```python\n(.*?)```", readme, re.S).group(1)
    example = example.replace("/srv/export", str(root)).replace("2026-09", month)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(example, {"spark": spark})
    # A header, and one row per month and platform.
    months = "SELECT DISTINCT substr(g.to_at, 1, 7), v.platform FROM video_growth AS g JOIN videos AS v ON v.id = g.video_id"
    lines = sum(line.startswith("|") for line in shown.getvalue().splitlines())
    assert lines - 1 == len(mirror.execute(months).fetchall()), shown.getvalue()


engines = [in_pandas, in_clickhouse, in_iceberg]
if shutil.which("java"):
    # Less JIT compilation, because the queries take only seconds.
    os.environ["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
    settings = {
        "spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC", "spark.sql.shuffle.partitions": "1",
        "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1",
    }
    spark = SparkSession.builder.master("local[1]").config(map=settings).getOrCreate()
    engines.append(in_spark)
    run_spark_example()
else:
    print("there is no Java; Spark reads nothing")
for name, table in tables.items():
    columns = [column["name"] for column in table["columns"] if column["type"] == "integer"]
    expected = in_sqlite(name, columns)
    for engine in engines:
        found = [None if value is None else int(value) for value in engine(name, columns)]
        assert found == expected, f"{engine.__name__}: {name}: {found}, not {expected}"
names = ", ".join(engine.__name__.removeprefix("in_") for engine in engines)
print(f"{len(tables)} tables: {names} read what SQLite has")
