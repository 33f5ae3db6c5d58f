"""Reads a Parquet export with pandas, ClickHouse (chDB) and pyiceberg (add_files): row counts and sums equal SQLite's.

Usage: engines.py EXPORT DATABASE
"""

import json
import pathlib
import sqlite3
import sys
import tempfile

import chdb
import pandas
import pyarrow.parquet
from pyiceberg.catalog.sql import SqlCatalog

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


for name, table in tables.items():
    columns = [column["name"] for column in table["columns"] if column["type"] == "integer"]
    expected = in_sqlite(name, columns)
    for engine in (in_pandas, in_clickhouse, in_iceberg):
        found = [None if value is None else int(value) for value in engine(name, columns)]
        assert found == expected, f"{engine.__name__}: {name}: {found}, not {expected}"
print(f"{len(tables)} tables: pandas, ClickHouse and pyiceberg read what SQLite has")
