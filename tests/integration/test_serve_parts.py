"""The parts of serving that crashes, other processes and failing engines ask most of."""

from __future__ import annotations

import functools
import gzip
import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serving import Market, Served, computed

from signal_stream import _core
from signal_stream.errors import EngineError, StateError, TapeError
from signal_stream.guards import Completeness, SchemaDigest, Staleness
from signal_stream.registry import Registry
from signal_stream.serve import Pipeline, build
from signal_stream.serve.axis_clock import AxisClock
from signal_stream.serve.latency import LatencyHistogram
from signal_stream.settings import load_deployment
from signal_stream.store import JournalReader
from signal_stream.store.lock import StateLock, serving_pid
from signal_stream.store.tape_log import TapeLog, check_log, log_batches


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    return Market.make(tmp_path_factory.mktemp("market"), seconds=10.0)


def opened(served: Served) -> Pipeline:
    return Pipeline(build(load_deployment(served.deployment), path=served.deployment))


@given(st.lists(st.integers(0, 10**11), min_size=1, max_size=200), st.floats(0.001, 1.0))
def test_percentiles_are_never_too_low_and_at_most_a_bucket_too_high(numbers: list[int], share: float) -> None:
    histogram = LatencyHistogram()
    histogram.add(numbers[:7])
    histogram.add(numbers[7:])
    found = histogram.percentile(share)
    exact = sorted(numbers)[max(0, -(-round(share * len(numbers) * 1e9) // 1_000_000_000) - 1)]
    assert found is not None
    assert exact <= found <= max(exact * (1 + 1 / 32), exact)
    assert (histogram.count, histogram.max_ns) == (len(numbers), max(numbers))


def break_engine(pipeline: Pipeline, error: BaseException) -> None:
    (lane,) = pipeline.signal_path.lanes
    pipeline.signal_path.lanes = (lane._replace(engine=Broken(lane.engine, error)),)  # type: ignore[arg-type]


def test_a_duration_beyond_all_bounds_is_counted() -> None:
    histogram = LatencyHistogram()
    histogram.add([-5, 1 << 50])
    assert (histogram.percentile(0.5), histogram.percentile(1), histogram.max_ns) == (
        0,
        (1 << 42) + (1 << 37) - 1,
        1 << 50,
    )


def test_the_clock_runs_from_the_least_delayed_event() -> None:
    assert AxisClock(inf).now(7) == 7
    clock = AxisClock(1.0)
    assert clock.now(1_000) == 1_000
    assert clock.now(10**12) == 10**12  # earlier than expected: the clock was slow
    assert clock.now(5) > 10**12  # an event that waited
    fast = AxisClock(1e6)
    fast.now(0)
    assert fast.now(0) >= 10**6


@given(
    age_ms=st.integers(1, 500),
    waited_ms=st.integers(-5, 500),
    delay_ms=st.none() | st.integers(1, 60),
    wrong=st.sampled_from(["", "graph", "schema", "width"]),
)
def test_a_clean_row_is_one_that_its_guards_let_pass(
    market: Market, age_ms: int, waited_ms: int, delay_ms: int | None, wrong: str
) -> None:
    vectors = rows(market)
    width = len(vectors.features)
    schema = SchemaDigest(
        graph_digest="0" * 64 if wrong == "graph" else vectors.graph_digest,
        schema_digest="0" * 64 if wrong == "schema" else vectors.schema_digest,
        columns=width + (wrong == "width"),
    )
    guards = (
        schema,
        Completeness(columns=tuple(vectors.features), defaults={}, completeness=1.0),
        Staleness(max_age_ns=age_ms * 1_000_000, max_venue_delay_ns=None if delay_ms is None else delay_ms * 1_000_000),
    )
    clean = _core.Clean(
        graph_digest=schema.graph_digest,
        schema_digest=schema.schema_digest,
        columns=schema.columns,
        max_age_ns=age_ms * 1_000_000,
        max_venue_delay_ns=None if delay_ms is None else delay_ms * 1_000_000,
    )
    for i in range(len(vectors)):
        row = vectors.row(i)
        now = row.ts_recv + waited_ms * 1_000_000
        silent = all(guard.check(None, row, now) is None for guard in guards if wrong != "width" or guard is schema)
        assert row.is_clean(clean, now) == silent


@functools.cache
def rows(market: Market) -> _core.Vectors:
    """Vectors of a second or two: warming up first, then whole."""
    batch = _core.Reader([market.capture]).next()
    assert batch is not None
    return _core.Engine(_core.Plan(market.graph.to_json())).push(batch)


def test_a_state_folder_is_locked_for_the_life_of_its_holder(tmp_path: Path) -> None:
    assert serving_pid(tmp_path) is None
    lock = StateLock(tmp_path)
    assert serving_pid(tmp_path) == os.getpid()
    with pytest.raises(StateError, match=f"process {os.getpid()} serves this state folder") as caught:
        StateLock(tmp_path)
    assert caught.value.code == "LOCKED"
    lock.close()
    lock.close()
    assert serving_pid(tmp_path) is None
    StateLock(tmp_path).close()


def batches(market: Market, messages: int) -> list[_core.EventBatch]:
    batch = _core.Reader([market.capture]).next()
    assert batch is not None
    return [batch.slice(at, at + messages) for at in range(0, batch.messages - messages, messages)]


@given(lost=st.integers(0, 40_000))
def test_a_log_keeps_every_append_that_is_whole(market: Market, tmp_path_factory: Any, lost: int) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = TapeLog(folder)
    parts = batches(market, 100)[:10]
    ends = []
    for part in parts:
        log.append(part)
        ends.append(log.position.bytes)
        log.check_invariants()
    log.append_mark(_core.EventBatch.mark(5))
    log.close()
    [path] = log.paths()
    size = max(0, ends[-1] - lost)
    os.truncate(path, size)
    whole = sum(end <= size for end in ends)
    again = TapeLog(folder)
    assert again.messages == 100 * whole
    again.append(parts[0])
    again.append_mark(_core.EventBatch.mark(7))
    again.check_invariants()
    again.close()
    assert sum(batch.messages for batch in log_batches(folder)) == 100 * whole + 101
    assert sum(batch.messages for batch in log_batches(folder, skip=50)) == max(0, 100 * whole + 101 - 50)
    assert again.messages == 100 * whole + 101


@settings(deadline=None, max_examples=80)
@given(
    how=st.sampled_from(["bit", "zeros", "cut", "without a piece", "missing"]),
    victim=st.integers(0, 5),
    at=st.integers(0, 60_000),
    size=st.integers(1, 9_000),
)
def test_damage_of_a_log_is_named_or_cut_and_never_read(
    market: Market, tmp_path_factory: Any, how: str, victim: int, at: int, size: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    parts = batches(market, 40)[:6]
    for some in (parts[:3], parts[3:]):  # two writers: two segments
        log = TapeLog(folder)
        for part in some:
            log.append(part)
        log.close()
    whole = contents(folder)
    assert len(whole) == 6
    files = sorted(folder.iterdir())
    path = files[victim % len(files)]
    good = path.read_bytes()
    at %= len(good)
    if how == "missing":
        path.unlink()
    elif how == "bit":
        path.write_bytes(good[:at] + bytes([good[at] ^ 1 << size % 8]) + good[at + 1 :])
    elif how == "zeros":
        path.write_bytes(good[:at] + bytes(len(good[at : at + size])) + good[at + size :])
    else:
        path.write_bytes(good[:at] + (good[at + size :] if how == "without a piece" else b""))
    if path.exists() and path.read_bytes() == good:
        return
    with suppress(TapeError):
        list(log_batches(folder))  # a reader beside a writer: it takes an end that is not whole for one being written
    try:
        log = TapeLog(folder)
        check_log(folder)
    except TapeError as error:
        named = error.code == "DAMAGED" and error.where.startswith(str(folder))
        assert named, error  # noqa: PT017
        return
    left = contents(folder)
    assert left == whole[: len(left)]
    if path.suffix == ".arrow" and path.name.startswith("00000001"):
        assert how == "missing" or log.recovered is not None, "the end of the newest segment, and it was said"
    for part in parts:
        log.append(part)
    log.check_invariants()
    log.close()


def contents(folder: Path) -> list[bytes]:
    """The messages, as they are read, forty in a piece: an append."""
    return [
        pa.record_batch(batch.slice(at, at + 40)).serialize().to_pybytes()
        for batch in log_batches(folder)
        for at in range(0, batch.messages, 40)
    ]


def test_a_log_is_cut_to_a_position(market: Market, tmp_path: Path) -> None:
    log = TapeLog(tmp_path)
    start = log.position
    first, second, third = batches(market, 50)[:3]
    log.append(first)
    middle = log.position
    log.append(second)
    log.close()
    log = TapeLog(tmp_path)
    log.append(third)
    log.cut(middle)
    assert log.messages == 50
    log.check_invariants()
    log.append(second)
    assert log.messages == 100
    log.cut(start)
    assert log.messages == 0
    log.check_invariants()
    assert log.paths() == []


def test_a_tail_reads_every_signal_once_over_segments(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", more="\n[journal]\nsegment_bytes = 65536\n")
    assert served.state.tail().last(5) == []
    serve(served)
    assert len(list(served.state.journal_folder.glob("*.arrows"))) > 1
    tail = served.state.tail()
    assert [record.key for record in tail.read()] == served.ids()
    assert list(tail.read()) == []
    for keep in (1, 70, 10_000):
        tail = served.state.tail()
        assert [record.key for record in tail.last(keep)] == served.ids()[-keep:]
        assert list(tail.read()) == []


def serve(served: Served) -> None:
    with opened(served) as pipeline:
        pipeline.run()


class Panic(BaseException):
    """What a Rust panic is in Python: no Exception."""


class Broken:
    """An engine that fails."""

    def __init__(self, engine: _core.Engine, error: BaseException) -> None:
        self._engine = engine
        self._error = error

    def push(self, batch: _core.EventBatch) -> NoReturn:
        raise self._error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)


def test_a_panic_halts_its_pipeline_and_nothing_else(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served")
    with opened(served) as pipeline:
        break_engine(pipeline, Panic("index out of bounds"))
        with pytest.raises(EngineError, match="index out of bounds") as caught:
            pipeline.run()
    assert caught.value.code == "PANIC"
    assert served.status()["state"] == "HALTED"
    assert "pipeline:micro" in served.state.latches().standing()[0].by
    assert json.loads(served.state.reader().last("close").body)["state"] == "HALTED"  # type: ignore[union-attr]
    serve(served)
    assert all("KILLED" in each.verdict.codes for each in served.signals())


def test_a_refused_late_event_is_no_reason_for_a_latch(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served")
    with opened(served) as pipeline:
        error = _core.CoreError("LATE", "message 7 is late", None)
        break_engine(pipeline, error)
        with pytest.raises(TapeError, match="message 7 is late"):
            pipeline.run()
    assert served.state.latches().standing() == ()


def test_a_new_model_goes_on_where_the_old_one_stopped(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served")
    with opened(served) as pipeline:
        for part in batches(market, 100)[:5]:
            pipeline.signal_path.push(part)
    old = served.signals()
    assert old
    registry = Registry(market.registry)
    model = registry.load("micro@live")
    entry = registry.register(model.manifest.changed(label="another"), dict(model.files), by="tests", now=3)
    registry.promote(entry.ref, "canary", by="tests", reason="tests", now=4)
    text = served.deployment.read_text()
    served.deployment.write_text(text.replace("micro@live", entry.ref))
    with opened(served) as pipeline:  # ends before its first snapshot
        assert pipeline.signal_path.is_behind
        for part in batches(market, 100)[:7]:
            pipeline.signal_path.push(part)
        assert not pipeline.signal_path.is_behind
    assert len(served.signals()) > len(old)
    with opened(served) as pipeline:
        pipeline.run()
    signals = served.signals()
    assert computed(signals[: len(old)]) == computed(old)
    assert {each.lineage.model_version for each in signals[len(old) :]} == {entry.version}
    offsets = [each.lineage.tape.offset for each in signals]
    assert offsets == sorted(offsets)
    assert signals[len(old)].lineage.tape.offset > old[-1].lineage.tape.offset
    serve(served)
    assert computed(served.signals()) == computed(signals)


def test_two_pipelines_live_in_one_process(market: Market, tmp_path: Path) -> None:
    first, second = (market.deploy(tmp_path / name) for name in ("first", "second"))
    with opened(first) as one, opened(second) as other:
        parts = batches(market, 200)
        for part in parts:
            one.signal_path.push(part)
            other.signal_path.push(part)
    assert computed(first.signals()) == computed(second.signals()) != []


def test_several_models_answer_each_vector(market: Market, tmp_path: Path) -> None:
    registry = Registry(market.registry)
    model = registry.load("micro@live")
    entry = registry.register(model.manifest.changed(name="second"), dict(model.files), by="tests", now=3)
    registry.promote(entry.ref, "live", by="tests", reason="tests", now=4)
    more = f'\n[[sink]]\nurl = "file://signals.arrow"\n[[model]]\nref = "{entry.ref}"\n[journal]\nfsync = "always"\n'
    served = market.deploy(tmp_path / "served", more=more)
    with opened(served) as pipeline:
        for part in batches(market, 100)[:4]:
            pipeline.signal_path.push(part)
        served.state.latches().kill("second", by="ann", reason="test", now=1)
    serve(served)
    signals = served.signals()
    pairs = list(zip(signals[::2], signals[1::2], strict=True))
    assert {tuple(each.lineage.model_id for each in pair) for pair in pairs} == {("micro", "second")}
    assert all(first.lineage.vector_hash == second.lineage.vector_hash for first, second in pairs)
    silent = ["KILLED" in second.verdict.codes for _, second in pairs]
    assert silent == sorted(silent)
    assert True in silent
    assert not any("KILLED" in first.verdict.codes for first, _ in pairs)
    table = pa.ipc.open_stream((served.folder / "signals.arrow").read_bytes()).read_all()
    assert table.column("signal_id").to_pylist() == served.ids() == served.sink_ids()


def test_models_of_two_graphs_share_a_pipeline(market: Market, tmp_path: Path) -> None:
    other = Market.make(tmp_path / "other", seconds=5.0, clock="250ms")
    model = Registry(other.registry).load("micro@live")
    entry = Registry(market.registry).register(
        model.manifest.changed(name="slow"), dict(model.files), by="tests", now=3
    )
    Registry(market.registry).promote(entry.ref, "live", by="tests", reason="tests", now=4)
    alone = market.deploy(tmp_path / "alone")
    serve(alone)
    served = market.deploy(tmp_path / "served", more=f'\n[[model]]\nref = "{entry.ref}"\n')
    with opened(served) as pipeline:
        for part in batches(market, 333)[:4]:
            pipeline.signal_path.push(part)
        cut = served.ids()
    for each in (lambda: None, lambda: shutil.rmtree(served.state.folder / "snapshots")):
        each()
        with opened(served) as pipeline:  # goes on, and from the beginning: in other pieces, with the same signals
            status = pipeline.run()
        assert status.journal["not_reproduced"] == 0
    signals = served.signals()
    assert [each.signal_id for each in signals][: len(cut)] == cut
    assert len({each.signal_id for each in signals}) == len(signals)
    offsets = [each.lineage.tape.offset for each in signals]
    assert offsets == sorted(offsets)
    by_model = {name: [each for each in signals if each.lineage.model_id == name] for name in ("micro", "slow")}
    assert computed(by_model["micro"]) == computed(alone.signals())
    assert 0 < len(by_model["slow"]) < len(by_model["micro"])
    assert "SAME BITS" in served.command("replay", "--sample", "60")


def test_what_a_full_queue_sheds_is_not_on_the_recorded_tape(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served", queue_rows=200, when_full="shed_oldest")
    with opened(served) as pipeline:
        status = pipeline.run()
    assert status.source["shed_messages"] > 0
    assert status.source["messages"] == status.counts["input"] + status.source["shed_messages"]
    assert "SAME BITS" in served.command("replay", "--sample", "20")


@pytest.mark.parametrize("damage", [lambda data: data[:100], lambda data: b"x" * len(data), lambda _: b""])
def test_a_damaged_snapshot_only_costs_time(market: Market, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    served = market.deploy(tmp_path / "served")
    serve(served)
    before = served.ids()
    for path in (served.state.folder / "snapshots").glob("*.snapshot"):
        path.write_bytes(damage(path.read_bytes()))
    with opened(served) as pipeline:
        assert pipeline.run_record.messages == 0
        pipeline.run()
        assert pipeline.signal_path.repeated == len(before)
    assert served.ids() == before
    assert JournalReader(served.state.journal_folder).last("close") is not None


def test_the_line_takes_what_the_capture_holds(market: Market, tmp_path: Path) -> None:
    served = market.deploy(tmp_path / "served")
    with opened(served) as pipeline:
        status = pipeline.run()
    with gzip.open(market.capture) as lines:
        assert status.counts["input"] == sum(1 for _ in lines)
