"""Reads tables of an export with polars: types, row counts, and sums of integers."""

import json
import sys

import polars

root, names = sys.argv[1], sys.argv[2].split(",")
answer = {}
for name in names:
    frame = polars.scan_parquet(f"{root}/{name}/**/*.parquet", hive_partitioning=True).collect()
    types = {column: str(kind) for column, kind in frame.schema.items()}
    sums = {column: frame[column].sum() for column, kind in frame.schema.items() if kind == polars.Int64}
    texts = {
        column: sorted(frame[column].drop_nulls().to_list())
        for column, kind in frame.schema.items()
        if column in ("extra", "metadata", "old_value", "new_value")
    }
    answer[name] = {"types": types, "rows": frame.height, "sums": sums, "texts": texts}
json.dump(answer, sys.stdout)
