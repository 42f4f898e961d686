"""The pages in specs/, run: every worked table against `compute`, the table of guards against a Gate.

`crates/engine/tests/all/specs.rs` reads the same pages. specs/README.md says how an example is written.
"""

from __future__ import annotations

import ast
import json
import re
import struct
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.manifests import DIGEST, plain_manifest

import signal_stream as ss
from signal_stream.guards import Gate, standard_guards
from signal_stream.records import Latency

SPECS = Path(__file__).parents[2] / "specs"
PAGES = sorted(page for page in SPECS.glob("*.md") if page.name != "README.md")
EPOCH = 1_700_000_040 * 10**9
EXAMPLE = ("python", "json", "input", "vectors")
ROUNDING = 4


@dataclass(frozen=True)
class Example:
    page: str
    code: str
    plain: str
    kind: str
    rows: list[list[str]]
    vectors: list[list[str]]


def table(text: str) -> list[list[str]]:
    return [line.partition(";")[0].split() for line in text.splitlines()]


def blocks(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def examples(page: Path) -> list[Example]:
    found = [block for block in blocks(page) if block[0] != "guards"]
    kinds = tuple("input" if kind in ("rows", "events") else kind for kind, _ in found)
    assert kinds == EXAMPLE * (len(found) // 4), f"{page.name}: {kinds}"
    quartets = (found[i : i + 4] for i in range(0, len(found), 4))
    return [
        Example(page.stem, code, plain, kind, table(rows), table(vectors))
        for (_, code), (_, plain), (kind, rows), (_, vectors) in quartets
    ]


ALL = [example for page in PAGES for example in examples(page)]


def ns(seconds: str) -> int:
    return EPOCH + int(Decimal(seconds) * 10**9)


def rows_table(rows: list[list[str]]) -> pa.Table:
    header, *lines = rows
    columns: dict[str, Any] = {"ts_recv": pa.array([ns(line[0]) for line in lines], pa.int64())}
    for i, name in enumerate(header[1:], 1):
        values = [None if line[i] == "null" else float(line[i]) for line in lines]
        columns[name] = pa.array(values, pa.float64())
    return pa.table(columns)


KINDS = {"trade": 1, "quote": 2, "diff": 3, "snapshot": 4, "mark": 6, "status": 7, "orders": 8}
SIDES = {"none": 0, "buy": 1, "bid": 1, "sell": 2, "ask": 2}
ACTIONS = {"add": 1, "change": 2, "cancel": 3, "fill": 4, "clear": 5, "match": 6}
STATES = {"connected": 1, "disconnected": 2, "halted": 3, "resumed": 4}
TAPE = ("ts_recv", "ts_event", "sequence", "sequence_prev", "instrument", "kind", "side", "flags", "price", "qty")
RARE = {
    "order_id": pa.uint64(), "action": pa.uint8(), "code": pa.uint8(), "scope": pa.uint8(),
}  # fmt: skip


def tape(lines: list[list[str]]) -> pa.Table:
    """Events as the table that a tape is."""
    instruments = ["X"]
    rows: list[dict[str, Any]] = []
    for time, *words in lines:
        name = words.pop(0)[1:] if words[0].startswith("@") else "X"
        if name not in instruments:
            instruments.append(name)
        kind = words.pop(0)
        head: dict[str, Any] = {
            "ts_recv": ns(time), "ts_event": None, "sequence": None, "sequence_prev": None,
            "instrument": 0xFFFF if kind == "mark" else instruments.index(name), "kind": KINDS[kind], "flags": 0,
            **dict.fromkeys(RARE, 0),
        }  # fmt: skip
        if kind == "orders" and words[0] == "-":
            words.pop(0)
        elif kind in ("diff", "orders"):
            first, _, last = words.pop(0).partition("-")
            head |= {"sequence": int(last or first), "sequence_prev": int(first) - 1}
        elif kind == "snapshot":
            head["sequence"] = int(words.pop(0))
        elif kind == "trade" and words[0].startswith("#"):
            number = int(words.pop(0)[1:])
            head |= {"sequence": number, "sequence_prev": number - 1}
        levels: list[dict[str, int]] = []
        side, order = 0, {}
        if kind == "status":
            head |= {"code": STATES[words.pop(0)], "scope": 1}
        for word in words:
            if word in SIDES:
                side = SIDES[word]
            elif kind == "orders" and "x" not in word:
                action, _, number = word.partition("#")
                order = {"action": ACTIONS[action], "order_id": int(number or 0)}
            else:
                price, qty = (int(Decimal(text) * 10**9) for text in word.split("x"))
                levels.append({"side": side, "price": price, "qty": qty, **order})
        rows.extend({**head, **level} for level in levels or [{"side": 0, "price": 0, "qty": 0}])
        rows[-1]["flags"] = 1
    utc = pa.timestamp("ns", tz="UTC")
    types = (
        dict(zip(TAPE, (utc, utc, *[pa.uint64()] * 2, pa.uint16(), *[pa.uint8()] * 3, *[pa.int64()] * 2), strict=True))
        | RARE
    )
    names = json.dumps([{"id": name, "price_scale": 9, "qty_scale": 9} for name in instruments])
    schema = pa.schema([pa.field(name, types[name], nullable=name in TAPE[1:4]) for name in (*TAPE, *RARE)])
    return pa.Table.from_pylist(rows, schema=schema).replace_schema_metadata(
        {"signal_stream.instruments": names, "signal_stream.tape": "2"}
    )


def ordered(x: float) -> int:
    """Doubles as whole numbers in the same order, neighbours one apart; both zeros are 0."""
    (bits,) = struct.unpack("<q", struct.pack("<d", x))
    return bits if bits >= 0 else -(bits & (2**63 - 1))


def matches(text: str, value: float | None, reason: str | None) -> bool:
    if text.startswith("null("):
        return value is None and reason == text[5:-1]
    if value is None:
        return False
    return abs(ordered(value) - ordered(float(text.removeprefix("~")))) <= (ROUNDING if text.startswith("~") else 0)


def difference(example: Example, found: pa.Table) -> str | None:
    """The first cell that is not as the page says; None if all are."""
    header, *lines = example.vectors
    times = found["ts_recv"].cast(pa.int64()).to_pylist()
    expected = [ns(line[0]) for line in lines]
    if times != expected:
        seen = [str(Decimal(t - EPOCH) / 10**9) for t in times]
        return f"vectors at {seen}, expected at {[line[0] for line in lines]}"
    for i, name in enumerate(header[1:], 1):
        values, reasons = found[name].to_pylist(), found[f"{name}.reason"].to_pylist()
        for line, value, reason in zip(lines, values, reasons, strict=True):
            if not matches(line[i], value, reason):
                return f"{example.page}: {name} at {line[0]}: expected {line[i]}, found {value!r} {reason}"
    return None


@pytest.mark.parametrize("example", ALL, ids=lambda example: f"{example.page}-{eval_graph(example).name}")
def test_a_worked_table_holds(example: Example, tmp_path: Path) -> None:
    graph = eval_graph(example)
    assert graph.digest == ss.FeatureGraph.from_plain(json.loads(example.plain)).digest, "python and json differ"
    assert list(graph.features) == example.vectors[0][1:]
    if example.kind == "rows":
        found = ss.compute(graph, rows_table(example.rows), instrument="X", reasons=True)
    else:
        events = tape(example.rows)
        with pa.ipc.new_file(tmp_path / "events.arrow", events.schema) as file:
            file.write_table(events)
        found = ss.compute(graph, tmp_path / "events.arrow", instruments=["X"], reasons=True)
    assert difference(example, found) is None


def eval_graph(example: Example) -> ss.FeatureGraph:
    names: dict[str, Any] = {name: getattr(ss, name) for name in ss.__all__}
    *before, last = ast.parse(example.code).body
    assert isinstance(last, ast.Expr), "an example ends with its graph"
    exec(compile(ast.Module(before, []), example.page, "exec"), names)
    return eval(compile(ast.Expression(last.value), example.page, "eval"), names)


def test_every_page_is_listed_and_has_a_table() -> None:
    listed = re.findall(r"^\| \[\w+\]\((\w+)\.md\)", (SPECS / "README.md").read_text(), flags=re.MULTILINE)
    assert sorted(listed) == [page.stem for page in PAGES]
    for page in PAGES:
        assert any(kind in ("vectors", "guards") for kind, _ in blocks(page)), page.name


def test_the_comparison_sees_what_is_wrong() -> None:
    assert matches("0.1", 0.1, None) and not matches("0.1", 0.10000000000000002, None)
    assert matches("~0.1", 0.10000000000000002, None) and not matches("~0.1", 0.1000000000000001, None)
    assert matches("0", -0.0, None) and not matches("~0", 1e-300, None)
    assert matches("null(GAP)", None, "GAP") and not matches("null(GAP)", None, "EMPTY")
    assert not matches("1", None, "GAP") and not matches("null(GAP)", 1.0, None)


DIGESTS = {"=": DIGEST, "other": f"{11:064x}"}
MANIFEST = plain_manifest(columns=("a", "b"), dtype="f64", defaults={"b": 0.0})


@dataclass(frozen=True)
class Row:
    graph_digest: str
    schema_digest: str
    reasons: tuple[str | None, ...]
    age_recv_ns: int | None
    age_event_ns: int | None
    instrument: str = "X"
    ts_event: int | None = EPOCH
    ts_recv: int = EPOCH
    offset: int = 1
    data_window_end: int = EPOCH
    values: tuple[float | None, ...] = (None, None)
    digest: bytes = bytes(32)


@dataclass(frozen=True)
class Answer:
    status: str
    value: float | None = 0.75


@dataclass
class Limits:
    max_age_ns: int = 2 * 10**9
    max_venue_delay_ns: int | None = None
    completeness: float = 0.5


@dataclass
class Latches:
    path = None
    is_settled = True

    why: str | None
    kills: list[str] = field(default_factory=list)

    def killed(self, model: str) -> str | None:
        return self.why

    def kill(self, model: str | None, *, by: str, reason: str, now: int) -> None:
        self.kills.append(reason)


def guard_rows() -> list[dict[str, str]]:
    (text,) = [text for kind, text in blocks(SPECS / "guards.md") if kind == "guards"]
    header, *lines = table(text)
    return [dict(zip(header, line, strict=True)) for line in lines]


def seconds(text: str) -> int | None:
    return None if text in ("never", "none") else int(Decimal(text) * 10**9)


@pytest.mark.parametrize("row", guard_rows(), ids=lambda row: " ".join(row.values()))
def test_the_gate_judges_as_the_page_says(row: dict[str, str]) -> None:
    latches = Latches("ann: too loud" if row["killed"] == "yes" else None)
    guards = standard_guards(MANIFEST, Limits(), latches)
    gate = Gate(guards, manifest=MANIFEST, latches=latches, pipeline="p", tape="t", fallback=row["fallback"])
    vector = Row(
        graph_digest=DIGESTS[row["graph"]],
        schema_digest=DIGESTS[row["schema"]],
        reasons=tuple(None if row[name] == "+" else row[name] for name in "ab"),
        age_recv_ns=seconds(row["age_recv"]),
        age_event_ns=seconds(row["age_event"]),
    )
    now = EPOCH + (seconds(row["waited"]) or 0)
    signal = gate.signal(gate.judge(Answer(row["answer"]), vector, now), Latency(1, 1, 1, 1))
    made = json.loads(signal.json)
    listed = {name: [] if row[name] == "-" else row[name].split(",") for name in ("codes", "defaults")}
    assert made["verdict"] == row["verdict"]
    assert made["codes"] == listed["codes"]
    assert made["defaults_used"] == listed["defaults"]
    assert made["value"] == (None if row["value"] == "null" else float(row["value"]))
