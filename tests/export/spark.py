"""Reads an export with Spark: types, counts, sums, and the example in deploy/README.md."""

import contextlib
import io
import json
import os
import re
import sys

from pyspark.sql import SparkSession

# Less JIT compilation, because the queries take only seconds.
os.environ["JAVA_TOOL_OPTIONS"] = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"

root, readme, names = sys.argv[1], sys.argv[2], sys.argv[3].split(",")
spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .getOrCreate()
)
answer = {}
for name in names:
    frame = spark.read.parquet(f"{root}/{name}")
    frame.createOrReplaceTempView(name)
    counts = [one for one, kind in frame.dtypes if kind == "bigint"]
    sums = ", ".join(f"sum(`{one}`)" for one in counts)
    found = spark.sql(f"SELECT count(*){', ' + sums if sums else ''} FROM {name}").collect()[0]
    answer[name] = {"columns": frame.dtypes, "counts": counts, "sums": list(found)}
example = re.search(r"```python\n(.*?)```", open(readme).read(), re.S).group(1)
example = example.replace("/srv/export", root).replace("2026-09", "2023-12")
shown = io.StringIO()
with contextlib.redirect_stdout(shown):
    exec(example, {"spark": spark})
answer["example"] = shown.getvalue()
json.dump(answer, sys.stdout)
