"""Writes the same rows in every storage format, by the formats' own libraries, and the rows as JSON to compare with.

    pip install pyarrow datasets duckdb polars zstandard
    python test/data/storage/make.py
"""

import gzip
import json
import pathlib
import shutil

import duckdb
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import zstandard
from datasets import Dataset, DatasetDict, disable_progress_bars

HERE = pathlib.Path(__file__).parent
disable_progress_bars()

GREETINGS = ["Καλημέρα", "Dobrý den", "صباح الخير", "早上好", "Dia dhuit", "สวัสดี", "Labdien", "😀 naïve \"quoted\"\ttab"]


def row(i):
    turns = [{"role": "system", "content": f"no. {i}", "tool_calls": None}] if i % 5 == 0 else []
    for t in range(1 + i % 4):
        turns.append({"role": "user", "content": f"{GREETINGS[(i + t) % len(GREETINGS)]} {i}.{t}", "tool_calls": None})
        call = [{"id": f"c{t}", "function": {"name": "f", "arguments": json.dumps({"n": i})}}] if i % 3 == 0 else None
        turns.append({"role": "assistant", "content": None if call and i % 2 else "x" * (i % 50), "tool_calls": call})
    return {
        "messages": turns,
        "id": f"row-{i}",
        "score": None if i % 7 == 0 else i / 8,
        "good": i % 2 == 0,
        "big": 2**53 + i if i % 11 == 0 else i,
        "tags": None if i % 6 == 0 else [f"t{k}" for k in range(i % 3)],
        "meta": None if i % 9 == 0 else {"n": i, "kind": "même" if i % 2 else None},
    }


ROWS = [row(i) for i in range(120)]
TOOL_CALL = pa.struct([("id", pa.string()), ("function", pa.struct([("name", pa.string()), ("arguments", pa.string())]))])
MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string()), ("tool_calls", pa.list_(TOOL_CALL))])
SCHEMA = pa.schema(
    [
        ("messages", pa.list_(MESSAGE)),
        ("id", pa.string()),
        ("score", pa.float64()),
        ("good", pa.bool_()),
        ("big", pa.int64()),
        ("tags", pa.list_(pa.string())),
        ("meta", pa.struct([("n", pa.int32()), ("kind", pa.string())])),
    ]
)
TABLE = pa.Table.from_pylist(ROWS, schema=SCHEMA)

(HERE / "rows.json").write_text(json.dumps(ROWS, ensure_ascii=False), "utf-8")
lines = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in ROWS).encode()
(HERE / "lines.jsonl").write_bytes(b"\xef\xbb\xbf" + lines.replace(b"\n", b"\r\n\r\n", 3))
(HERE / "lines.jsonl.gz").write_bytes(
    gzip.compress(lines[:5000].rsplit(b"\n", 1)[0] + b"\n", mtime=0)
    + gzip.compress(lines[5000 - len(lines[:5000].rsplit(b"\n", 1)[1]) :], mtime=0)
)
(HERE / "lines.jsonl.zst").write_bytes(zstandard.compress(lines))
(HERE / "lines-named.json").write_bytes(lines)
(HERE / "list.json").write_text(json.dumps(ROWS, ensure_ascii=False, indent=1), "utf-8")
(HERE / "data-key.json").write_text(json.dumps({"version": 1, "data": ROWS}, ensure_ascii=False), "utf-8")

small_pages = {"data_page_size": 512, "write_batch_size": 16, "row_group_size": 50}
for codec in ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]:
    pq.write_table(TABLE, HERE / f"v1-{codec}.parquet", compression=codec, **small_pages)
pq.write_table(TABLE, HERE / "v2-zstd.parquet", compression="zstd", data_page_version="2.0", **small_pages)
pq.write_table(TABLE, HERE / "plain.parquet", use_dictionary=False, compression="snappy", **small_pages)
pq.write_table(TABLE, HERE / "page-index.parquet", write_page_index=True, **small_pages)
pq.write_table(
    TABLE,
    HERE / "delta.parquet",
    use_dictionary=False,
    column_encoding={"id": "DELTA_BYTE_ARRAY", "big": "DELTA_BINARY_PACKED", "messages.list.element.content": "DELTA_LENGTH_BYTE_ARRAY"},
    **small_pages,
)
rows_table = TABLE
duckdb.sql("create table t as select * from rows_table")
duckdb.sql(f"copy t to '{HERE}/duckdb.parquet' (format parquet, compression zstd, row_group_size 2048)")

with ipc.new_stream(HERE / "stream.arrow", SCHEMA) as writer:
    writer.write_table(TABLE, max_chunksize=64)
with ipc.new_file(HERE / "file.arrow", SCHEMA) as writer:
    writer.write_table(TABLE, max_chunksize=64)
feather.write_feather(TABLE, HERE / "zstd.feather", compression="zstd", chunksize=64)
feather.write_feather(TABLE, HERE / "lz4.feather", compression="lz4", chunksize=64)
large = SCHEMA.set(1, pa.field("id", pa.large_string())).set(0, pa.field("messages", pa.large_list(MESSAGE)))
with ipc.new_stream(HERE / "large.arrow", large) as writer:
    writer.write_table(TABLE.cast(large), max_chunksize=64)
coded = TABLE.set_column(1, "id", TABLE["id"].dictionary_encode())
with ipc.new_stream(HERE / "dictionary.arrow", coded.schema) as writer:
    writer.write_table(coded.combine_chunks(), max_chunksize=64)

for name in ["saved", "saved-splits"]:
    shutil.rmtree(HERE / name, ignore_errors=True)
dataset = Dataset(TABLE)
dataset.save_to_disk(str(HERE / "saved"), num_shards=2)
DatasetDict({"train": dataset, "test": dataset.select(range(10))}).save_to_disk(str(HERE / "saved-splits"))
print(*sorted(p.name for p in HERE.iterdir()))
