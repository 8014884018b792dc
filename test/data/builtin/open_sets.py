"""Opens the shipped sets with pyarrow, Python `datasets` and DuckDB and compares every row with the JSONL.

    pip install pyarrow datasets duckdb
    python test/data/builtin/open_sets.py
"""

import json
import pathlib
import tempfile

import duckdb
import pyarrow.parquet as pq
from datasets import load_dataset

ROOT = pathlib.Path(__file__).parents[3] / "datasets"

for path in sorted(ROOT.glob("*/*.parquet")):
    expected = [json.loads(line) for line in path.with_suffix(".jsonl").read_text("utf-8").splitlines()]
    assert pq.read_table(path).to_pylist() == expected, f"pyarrow: {path}"
    with tempfile.TemporaryDirectory() as cache:
        rows = load_dataset("parquet", data_files=str(path), split="train", cache_dir=cache).to_list()
    assert rows == expected, f"datasets: {path}"
    relation = duckdb.sql(f"select * from read_parquet('{path}')")
    names = relation.columns
    assert [dict(zip(names, row)) for row in relation.fetchall()] == expected, f"DuckDB: {path}"
    print(f"{path.name}: {len(expected)} rows equal in pyarrow, datasets and DuckDB")
