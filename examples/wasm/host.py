"""A host in Python: `python host.py graph.wasm bars.csv` prints the last vector. It needs wasmtime and no signal-stream.

The table has a row a minute: its time in seconds, then the columns that the module names.
"""

import csv
import struct
import sys

import wasmtime

store = wasmtime.Store()
module = wasmtime.Module.from_file(store.engine, sys.argv[1])
exports = wasmtime.Instance(store, module, []).exports(store)
memory = exports["memory"]


def call(name, *given):
    return exports[f"ss_{name}"](store, *given)


def text(which):
    at = call("text", graph, which)
    return memory.read(store, at, at + call("text_length", graph, which)).decode()


graph = call("open")
columns, features = text(1).split("\n"), text(2).split("\n")
with open(sys.argv[2], newline="") as file:
    for row in csv.DictReader(file):
        numbers = [float(row[name] or "nan") for name in columns]
        memory.write(store, struct.pack(f"<{len(numbers)}d", *numbers), call("row", graph))
        invalid = call("push", graph, int(row["time"]) * 1_000_000_000)
        if invalid < 0:
            sys.exit(f"the row at {row['time']} is refused: {invalid}")

at = call("values", graph)
values = struct.unpack(f"<{len(features)}d", memory.read(store, at, at + 8 * len(features)))
for name, value in zip(features, values, strict=True):
    print(f"{name:12} {value!r}")
