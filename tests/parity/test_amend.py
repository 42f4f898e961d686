"""late = "amend": whatever the order of events within the horizon, the last revisions are what a run in order gives."""

from __future__ import annotations

import gzip
import json
import random
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import signal_stream as ss
from signal_stream import _core, bars, book, trades
from signal_stream.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

T = 1_700_000_040_000
"""Milliseconds: a whole minute."""
NAMES = ("AAA", "BBB")
FLOW = {
    "sum": trades.qty.rolling("3s").sum(),
    "step": trades.price.diff(),
    "mean": trades.price.rolling(3).mean(),
    "age": trades.price.age(),
}
BARS = {"close": bars("2s").close, "volume": bars("2s").volume.rolling(2).sum()}
FILLED = {"close": bars(ticks=3).close, "step": bars(ticks=3).volume.diff()}
GRAPHS = {
    "clock": ss.FeatureGraph(
        name="clock", on=ss.every("1s"), axis="event", features=FLOW | BARS | {"other": ss.instrument("BBB.BINANCE").trades.price}
    ),
    "trades": ss.FeatureGraph(name="trades", on=trades, axis="event", features=FLOW),
    "bars": ss.FeatureGraph(name="bars", on=bars("2s"), axis="event", features=BARS),
    "filled": ss.FeatureGraph(name="filled", on=bars(ticks=3), axis="event", features=FILLED),
}  # fmt: skip


def line(instrument: int, number: int, happened: int, received: int) -> str:
    data = {
        "e": "trade", "E": happened, "s": NAMES[instrument], "t": number, "p": f"{100 + number * 7 % 13}.00",
        "q": f"{number % 5 + 1}", "T": happened, "m": False, "M": True,
    }  # fmt: skip
    return f"{received}000000 " + json.dumps({"stream": "x@trade", "data": data}, separators=(",", ":")) + "\n"


def unnumbered(number: int, happened: int, received: int) -> str:
    trade = {
        "T": happened,
        "s": "AAA",
        "S": "Buy",
        "v": f"{number % 5 + 1}",
        "p": f"{100 + number * 7 % 13}",
        "BT": False,
    }
    frame = {"topic": "publicTrade.AAA", "type": "snapshot", "ts": happened, "data": [trade]}
    return f"{received}000000 " + json.dumps(frame, separators=(",", ":")) + "\n"


Key = tuple[str, int]
Rows = dict[Key, list[tuple[Any, ...]]]


class Ledger:
    """What somebody holds who reads vectors and amendments, and goes by the digests alone."""

    def __init__(self) -> None:
        self.held: dict[bytes, tuple[Key, tuple[Any, ...]]] = {}
        self.revisions: dict[bytes, int] = {}
        self.withdrawn = 0

    def take(self, pieces: Iterable[Any], engine: ss.Engine) -> None:
        for vectors in pieces:
            # Those of one message come behind what it amends.
            amendments = engine.take_amendments()
            rows = [vectors.row(i) for i in range(len(vectors))]
            for each in amendments:
                for i, (revision, old, new) in enumerate(each.changes):
                    row = each.vectors.row(i)
                    while rows and rows[0].offset < row.offset:
                        self.add(rows.pop(0), 0)
                    if old is not None:
                        key, _ = self.held.pop(old)
                        assert key == (row.instrument, row.ts_event)
                        assert self.revisions.pop(old) == revision - 1
                    if new is not None:
                        assert new == row.digest
                        self.add(row, revision)
                    else:
                        assert set(row.values) == {None}
                        self.withdrawn += 1
            for row in rows:
                self.add(row, 0)

    def add(self, row: Any, revision: int) -> None:
        assert row.digest not in self.held
        self.held[row.digest] = (row.instrument, row.ts_event), (*row.values, *row.reasons)
        self.revisions[row.digest] = revision

    def rows(self, *, before: int) -> Rows:
        rows: Rows = {}
        for key, values in self.held.values():
            if key[1] < before:
                rows.setdefault(key, []).append(values)
        return {key: sorted(values, key=repr) for key, values in rows.items()}


def ledger(graph: ss.FeatureGraph, path: Path, *, chunk: int | None = None, **options: str) -> tuple[Ledger, ss.Engine]:
    engine, held = ss.Engine(graph, **options), Ledger()
    for batch in ss.read_tape(path):
        held.take(engine.stream(batch, chunk=chunk), engine)
    counts = engine.counts()
    assert counts["input"] == sum(counts[name] for name in ("accepted", "duplicate", "late", "rejected"))
    assert counts["input"] + counts["waiting"] == engine.messages
    return held, engine


EVENTS = st.lists(
    st.tuples(st.integers(0, 20_000), st.integers(0, 1), st.integers(0, 9_000)), min_size=2, max_size=40,
    unique_by=lambda event: event[:2],
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    events=EVENTS, name=st.sampled_from(sorted(GRAPHS)), lateness=st.sampled_from(["0s", "500ms", "4s"]),
    chunk=st.sampled_from([1, 7, None]),
)  # fmt: skip
def test_any_order_within_the_horizon_gives_in_the_end_what_the_sorted_events_give(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[int, int, int]],
    name: str,
    lateness: str,
    chunk: int | None,
) -> None:
    folder, ids = tmp_path_factory.mktemp("amend"), [0, 0]
    numbered = []
    for t, instrument, delay in sorted(events):
        ids[instrument] += 1
        numbered.append((T + t, instrument, ids[instrument], T + t + delay))
    end = T + 60_000
    last = [(end + 10_000 * k, i, ids[i] + 1 + k, end + 10_000 * k) for k in (0, 1) for i in (0, 1)]
    for file, order in (("sorted", numbered), ("came", sorted(numbered, key=lambda event: event[3]))):
        text = "".join(
            line(i, number, t, max(received, T)) for t, i, number, received in [*order, *last]
        )  # receive times of the sorted tape are readings only
        (folder / file).write_text(text)
    graph = GRAPHS[name]
    wanted, _ = ledger(graph, folder / "sorted", lateness="0s")
    found, engine = ledger(graph, folder / "came", lateness=lateness, amend_within="30s", chunk=chunk)
    before = end * 10**6
    assert found.rows(before=before) == wanted.rows(before=before)
    counts = engine.counts()
    assert (counts["late"], counts["gaps"]) == (0, 0)
    report = ss.parity(graph, folder / "came", lateness=lateness, amend_within="30s", snapshots=10)
    assert report.same, report.difference


def test_beyond_the_horizon_an_event_is_late(tmp_path: Path) -> None:
    times = [0, 10_000, 20_000, 14_000, 16_000, 30_000]
    ids = [1, 2, 5, 3, 4, 6]
    text = "".join(line(0, number, T + t, T + 30_000 + k) for k, (t, number) in enumerate(zip(times, ids, strict=True)))
    (tmp_path / "tape").write_text(text)
    held, engine = ledger(GRAPHS["trades"], tmp_path / "tape", lateness="0s", amend_within="5s")
    counts = engine.counts()
    assert (counts["late"], counts["amended"]) == (1, 1)
    assert counts["accepted"] == 5
    assert {key[1] // 10**6 - T for key, _ in held.held.values()} == {0, 10_000, 16_000, 20_000, 30_000}
    assert engine.core.take_late().messages == 1
    # The trade of 20 s was given again, that of 16 s for the first time.
    assert sorted(held.revisions.values()) == [0, 0, 0, 1, 1]


def test_a_table_says_which_revision_each_vector_is(tmp_path: Path) -> None:
    times, ids = [0, 2_000, 1_000, 3_000], [1, 3, 2, 4]
    text = "".join(line(0, number, T + t, T + 5_000 + k) for k, (t, number) in enumerate(zip(times, ids, strict=True)))
    (tmp_path / "tape").write_text(text)
    table = ss.compute(GRAPHS["trades"], tmp_path / "tape", lateness="0s", amend_within="5s")
    rows = [(t.value // 10**6 - T, revision, gone) for t, revision, gone in zip(
        table["ts_event"].to_pylist(), table["revision"].to_pylist(), table["withdrawn"].to_pylist(), strict=True)]  # fmt: skip
    assert sorted(rows) == [(0, 0, False), (1_000, 1, False), (2_000, 0, False), (2_000, 1, False), (3_000, 0, False)]
    with pytest.raises(DataError, match="on receive time nothing is late"):
        ss.compute(ss.FeatureGraph(name="g", on=trades, features=FLOW), tmp_path / "tape", amend_within="5s")
    with pytest.raises(DataError, match="amend_within is 0"):
        ss.compute(GRAPHS["trades"], tmp_path / "tape", lateness="0s", amend_within="0s")


@pytest.mark.parametrize("name", ["bars", "filled"])
def test_an_amended_bar_is_amended_again(tmp_path: Path, name: str) -> None:
    """Two late trades of one bar, one after the other: revision 1, then 2, each linked to the one before; and a replay from
    between them gives the second again."""
    # Trades without ids: nobody knows that one is missing until it comes.
    times = [0, 2_100, 3_900, 4_100, 6_100, 2_900, 8_100, 3_400, 10_100, 12_100]
    text = {t: unnumbered(k, T + t, T + 20_000 + 100 * k) for k, t in enumerate(times)}
    (tmp_path / "came").write_text("".join(text.values()))
    (tmp_path / "sorted").write_text("".join(text[t] for t in sorted(text)))
    engine, chains = ss.Engine(GRAPHS[name], lateness="0s", amend_within="30s"), dict[bytes, list[tuple[int, bytes]]]()
    again, after = None, list[tuple[Any, ...]]()
    for batch in ss.read_tape(tmp_path / "came"):
        for begin in range(batch.messages):
            message = batch.slice(begin, begin + 1)
            engine.push(message)
            found = [each for part in engine.take_amendments() for each in part.changes]
            for revision, old, new in found:
                chains.setdefault(old or b"", []).append((revision, new or b""))
            if again is not None:
                again.push(message)
                assert [each for part in again.take_amendments() for each in part.changes] == found
                after += found
            elif chains:
                again = ss.Engine.restore(GRAPHS[name], engine.snapshot(), like=engine)
    seconds = [(old, new) for old, made in chains.items() for revision, new in made if revision == 2]
    firsts = {new for made in chains.values() for revision, new in made if revision == 1}
    assert seconds, "a bar was amended twice"
    assert {old for old, _ in seconds} <= firsts, "the second knows the first"
    assert any(revision == 2 for revision, _, _ in after), "from a snapshot between them as well"
    held, _ = ledger(GRAPHS[name], tmp_path / "came", lateness="0s", amend_within="30s")
    wanted, _ = ledger(GRAPHS[name], tmp_path / "sorted", lateness="0s")
    before = (T + 10_000) * 10**6
    assert held.rows(before=before) == wanted.rows(before=before)


def held_back(spot: Path, folder: Path, *, ms: int) -> Path:
    """A capture in which each frame comes up to so much later than it did, in another order."""
    lines = gzip.decompress(spot.read_bytes()).splitlines()[:6000]
    chooser = random.Random(5)
    came = [int(each.split(b" ", 1)[0]) + int(chooser.uniform(0, ms * 10**6)) for each in lines]
    order = sorted(range(len(lines)), key=lambda k: came[k])
    assert order != sorted(order)
    assert all(came[a] <= came[b] for a, b in pairwise(order))
    path = folder / "held.txt"
    path.write_bytes(b"".join(b"%d %s\n" % (came[k], lines[k].split(b" ", 1)[1]) for k in order))
    return path


def test_books_and_windows_of_a_capture_are_mended(spot: Path, tmp_path: Path) -> None:
    mid = book.mid()
    graph = ss.FeatureGraph(
        name="venue", on=ss.every("500ms"), axis="event",
        features={
            "obi_5": book.imbalance(levels=5), "vol": mid.log().diff().rolling("5s").std(),
            "flow": trades.signed_qty().rolling("5s").sum(), "bar": bars("1s").close.diff(),
        },
    )  # fmt: skip
    tape = held_back(spot, tmp_path, ms=300)
    wanted, timely = ledger(graph, tape, lateness="2s")
    found, engine = ledger(graph, tape, lateness="50ms", amend_within="5s")
    assert timely.counts()["late"] == 0
    counts = engine.counts()
    assert counts["amended"] > 20
    assert counts["amendments"] > 20
    before = max(key[1] for key, _ in wanted.held.values())
    assert found.rows(before=before) == wanted.rows(before=before)
    report = ss.parity(graph, tape, lateness="50ms", amend_within="5s", snapshots=8)
    assert report.same, report.difference


STATE = Path(__file__).parents[1] / "data" / "formats" / "amending" / "format-5.state"
"""`Engine.snapshot` of the first release that amends, behind the third message of the tape below."""


def test_a_state_of_the_first_release_that_amends_is_gone_on_with(tmp_path: Path) -> None:
    times, ids = [0, 4_000, 2_000, 6_000, 3_000, 9_000, 12_000], [1, 4, 2, 5, 3, 6, 7]
    text = "".join(line(0, number, T + t, T + 9_000 + k) for k, (t, number) in enumerate(zip(times, ids, strict=True)))
    (tmp_path / "tape").write_text(text)
    graph = ss.FeatureGraph(
        name="kept",
        on=trades,
        axis="event",
        features={"sum": trades.qty.rolling("3s").sum(), "step": trades.price.diff()},
    )
    [batch] = ss.read_tape(tmp_path / "tape")
    whole, like = (ss.Engine(graph, lateness="0s", amend_within="10s") for _ in range(2))
    made = whole.push(batch.slice(0, 3))
    told = whole.take_amendments()
    assert (made.num_rows, told) == (2, []), "the third came late, and is run before the next"
    restored = ss.Engine.restore(graph, STATE.read_bytes(), like=like)
    assert restored.counts() == whole.counts()
    # What it keeps of before has the bytes of the release that wrote it; saved once more it is the same, and so is what comes.
    kept = restored.snapshot()
    assert ss.Engine.restore(graph, kept, like=like).snapshot() == kept
    rest = [engine.push(batch.slice(3, batch.messages)) for engine in (whole, restored)]
    assert rest[0].equals(rest[1])
    one, other = ([each.batch() for each in engine.take_amendments()] for engine in (whole, restored))
    assert one == other
    assert sum(each.num_rows for each in one) >= 4


@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_every_way_of_running_gives_the_same(tmp_path: Path, seed: int) -> None:
    """Ids that skip, repeat and go back, messages twice, times beyond any horizon and from the future, time that begins anew."""
    chooser = random.Random(seed)
    ids, ahead, now, received, lines = [0, 0], 0, 0, T, list[str]()
    for _ in range(120):
        now += chooser.choice([0, 1, 5, 300, 700, 2500])
        received += chooser.choice([1, 5, 400, 900])
        instrument = chooser.randrange(2)
        ids[instrument] = max(1, ids[instrument] + chooser.choice([1, 1, 1, 1, 2, 0, -1]))
        if chooser.random() < 0.02:
            ahead = chooser.choice([0, 0, 50_000, 120_000_000])
        if lines and chooser.random() < 0.05:
            lines.append(chooser.choice(lines))
            continue
        happened = max(0, now - chooser.choice([0, 0, 0, 100, 900, 3000, 8000, 20000]))
        lines.append(line(instrument, ids[instrument], T + happened + ahead, received))
    (tmp_path / "tape").write_text("".join(lines))
    lateness, within = chooser.choice(["0s", "300ms", "2s"]), chooser.choice(["1ms", "1s", "4s", "30s", "1h"])
    for graph in GRAPHS.values():
        report = ss.parity(graph, tmp_path / "tape", lateness=lateness, amend_within=within, snapshots=20, seed=seed)
        assert report.same, report.difference
        counts = report.counts
        assert counts["input"] == sum(counts[name] for name in ("accepted", "duplicate", "late", "rejected"))
        assert counts["input"] + counts["waiting"] == report.events


@pytest.mark.parametrize("name", ["bars", "clock"])
def test_what_a_mark_brought_about_is_amended_and_does_not_come_again(tmp_path: Path, name: str) -> None:
    """Trades, a silence that marks tell of, a trade that is late by it, and one that goes on."""
    trades_of = [(0, 1), (2_500, 2), (3_000, 3), (30_000, 5), (31_000, 6)]
    (tmp_path / "came").write_text("".join(line(0, number, T + t, T + t) for t, number in trades_of))
    [batch] = ss.read_tape(tmp_path / "came")
    (tmp_path / "late").write_text(line(0, 4, T + 5_000, T + 12_500))
    [late] = ss.read_tape(tmp_path / "late")
    marks = [_core.EventBatch.mark((T + ms) * 10**6) for ms in (9_000, 12_000, 13_000)]
    engine, found = ss.Engine(GRAPHS[name], lateness="0s", amend_within="30s"), Ledger()
    for piece in (batch.slice(0, 3), *marks[:2]):
        found.take(engine.stream(piece), engine)
    assert max(key[1] for key, _ in found.held.values()) >= (T + 10_000) * 10**6, "the silence ends bars and ticks"
    for piece in (late, marks[2]):
        found.take(engine.stream(piece), engine)
    assert (engine.counts()["amended"], engine.counts()["waiting"]) == (1, 0), "a mark is enough"
    found.take(engine.stream(batch.slice(3, 5)), engine)
    ordered, wanted = ss.Engine(GRAPHS[name], lateness="0s"), Ledger()
    for piece in (batch.slice(0, 3), late, batch.slice(3, 5)):
        wanted.take(ordered.stream(piece), ordered)
    assert found.rows(before=(T + 30_000) * 10**6) == wanted.rows(before=(T + 30_000) * 10**6)
    assert (engine.counts()["amended"], found.withdrawn) == (1, 0)
    assert engine.counts()["accepted"] == ordered.counts()["accepted"] + 3
