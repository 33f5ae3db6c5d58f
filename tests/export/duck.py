"""Reads tables of an export with DuckDB: every row, in a form for exact comparison."""

import json
import struct
import sys

import duckdb

root, names = sys.argv[1], sys.argv[2].split(",")
connection = duckdb.connect()
answer = {}
for name in names:
    files = f"read_parquet('{root}/{name}/**/*.parquet', hive_partitioning = true)"
    columns = connection.sql(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM {files})").fetchall()
    cells = []
    for column, kind in columns:
        if kind == "TIMESTAMP WITH TIME ZONE":
            cells.append(f'epoch_us("{column}")')
        elif kind == "DATE":
            cells.append(f'CAST("{column}" AS VARCHAR)')
        else:
            cells.append(f'"{column}"')
    rows = connection.sql(f"SELECT {', '.join(cells)} FROM {files}").fetchall()
    bits = lambda cell: f"bits {struct.pack('>d', cell).hex()}" if isinstance(cell, float) else cell
    answer[name] = {"columns": columns, "rows": [[bits(cell) for cell in row] for row in rows]}
json.dump(answer, sys.stdout)
