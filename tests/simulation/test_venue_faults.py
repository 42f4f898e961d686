"""Every fault of a venue's WebSocket, over a real capture on real sockets: how soon the book is invalid, that nothing is
said of it meanwhile, and that it is the venue's book again behind a new snapshot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.venue_run import EXCERPT, LEVELS, VenueRun, at_the_end, ladder, messages_of

import signal_stream as ss
from signal_stream.testing import BTCUSDT_PERP, MarketSimulator, VenueEmulator, wire_faults
from signal_stream.testing.wire_faults import WireFault

AT = 1_500
"""The frame before which faults strike: half of the excerpt."""
DEPTH, SNAPSHOT, STATUS = 3, 4, 7


def run_with(*faults: WireFault, **settings: Any) -> VenueRun:
    with VenueEmulator(EXCERPT, faults=faults, stamped=True) as venue:
        run = VenueRun(venue, ladder(), settings).read(at_the_end)
        check_counts(run)
        check_book(run)
    return run


@pytest.fixture(scope="module")
def clean() -> VenueRun:
    return run_with()


def check_counts(run: VenueRun) -> None:
    """Everything that came is counted under one name, at the feed and at the engine."""
    stats, counts = run.stats, run.counts
    assert stats["lines"] == stats["messages"] + sum(stats["refused"].values())
    judged = counts["accepted"] + counts["duplicate"] + counts["late"] + counts["rejected"]
    assert judged == counts["input"] == len(run.messages) == stats["messages"] + len(run.of_kind(STATUS))


def check_book(run: VenueRun) -> None:
    """The last vector is the venue's book, as the emulator keeps it in a plain dictionary."""
    last, venue = run.vectors[-1], run.venue.book
    assert venue is not None
    for name, side in (("bid", "b"), ("ask", "a")):
        expected = [(float(price), float(qty)) for price, qty in venue.levels(side, LEVELS)]
        found = [(last[f"{name}_{n}"], last[f"{name}_qty_{n}"]) for n in range(1, LEVELS + 1)]
        assert found == expected


def invalid(run: VenueRun) -> list[dict[str, Any]]:
    """Vectors without a best bid, behind the first that had one."""
    first = next(i for i, vector in enumerate(run.vectors) if vector["bid_1"] is not None)
    return [vector for vector in run.vectors[first:] if vector["bid_1"] is None]


def depth_at(run: VenueRun, count: int = 1) -> int:
    """The number of a frame, such that it and so many less one that follow are diffs of the book in a row or alone."""
    frames = run.venue.frames
    return next(i for i in range(AT, len(frames)) if frames[i].is_depth)


def test_without_faults_the_messages_are_those_of_the_file(clean: VenueRun) -> None:
    assert len(clean.messages) == len(clean.venue.frames)
    assert clean.stats["refused"] == {"UNUSED_FRAME": 1}
    assert clean.counts["accepted"] == clean.counts["input"]
    venue = clean.venue
    assert clean.stats["lines"] == venue.frames_sent + venue.answers_sent + venue.books_sent
    assert invalid(clean) == []


def test_the_messages_of_futures_are_those_of_the_file_too(tmp_path: Path) -> None:
    capture = tmp_path / "futures.gz"
    MarketSimulator(seed=3, duration_s=5.0, instruments=(BTCUSDT_PERP,)).write_capture(capture)
    with VenueEmulator(capture, stamped=True) as venue:
        run = VenueRun(venue, ladder(), {"venue": "binance-usdm"}).read(at_the_end)
    of_file = [row for batch in ss.read_tape(capture) for row in messages_of(batch)]
    assert run.messages == of_file
    assert len(of_file) > 500


def test_a_dropped_diff_is_a_gap_at_the_next(clean: VenueRun) -> None:
    at = depth_at(clean)
    run = run_with(wire_faults.Dropped(at=at))
    wrong = invalid(run)
    following = next(frame for frame in run.venue.frames[at + 1 :] if frame.is_depth)
    assert wrong and wrong[0]["ts_recv"] == following.ts_recv, "the first event behind the loss shows it"
    assert run.stats["connection"]["gaps"] == 1
    assert len(run.of_kind(SNAPSHOT)) == 2
    check_same_outside(clean, run)


def test_a_dropped_trade_or_quote_leaves_the_book_alone(clean: VenueRun) -> None:
    at = next(i for i in range(AT, len(clean.venue.frames)) if clean.venue.frames[i].channel.kind == "trades")
    run = run_with(wire_faults.Dropped(at=at))
    assert invalid(run) == [] and len(run.of_kind(SNAPSHOT)) == 1
    assert len(run.messages) == len(clean.messages) - 1


def test_a_repeated_frame_is_a_duplicate(clean: VenueRun) -> None:
    for kind in ("depth", "trades"):
        at = next(i for i in range(AT, len(clean.venue.frames)) if clean.venue.frames[i].channel.kind == kind)
        run = run_with(wire_faults.Repeated(at=at))
        assert run.counts["duplicate"] == 1, kind
        assert run.vectors == clean.vectors, kind


def test_frames_out_of_order_are_a_gap_and_then_old(clean: VenueRun) -> None:
    frames = clean.venue.frames
    at = depth_at(clean)
    behind = next(i for i in range(at + 1, len(frames)) if frames[i].is_depth) - at
    run = run_with(wire_faults.Swapped(at=at, behind=behind))
    assert run.stats["connection"]["gaps"] == 1 and len(run.of_kind(SNAPSHOT)) == 2
    assert invalid(run)
    check_same_outside(clean, run)


def test_a_frame_in_fragments_is_one_frame(clean: VenueRun) -> None:
    run = run_with(wire_faults.Fragmented(at=depth_at(clean), parts=50))
    assert run.vectors == clean.vectors


@pytest.mark.parametrize(
    "fault",
    [
        wire_faults.Closed(at=AT, code=1001, reason="going away", missed=400),
        wire_faults.Closed(at=AT, code=1008, reason="policy", missed=0),
        wire_faults.Closed(at=AT, code=4003, missed=400),
        wire_faults.Severed(at=AT, missed=400),
        wire_faults.Oversized(at=AT, size=1 << 19, missed=400),
        wire_faults.Frozen(at=AT, missed=400),
    ],
    ids=lambda fault: f"{type(fault).__name__}-{getattr(fault, 'code', '')}",
)
def test_a_lost_connection_is_said_and_made_again(clean: VenueRun, fault: WireFault) -> None:
    frozen = isinstance(fault, wire_faults.Frozen)
    run = run_with(fault, frame_bytes_max=1 << 18, stale_after="500ms" if frozen else "30s")
    said = [(message["code"], message["instrument"]) for message in run.of_kind(STATUS)]
    assert said[:2] == [(2, "BTCUSDT.BINANCE"), (1, "BTCUSDT.BINANCE")], "disconnected, then connected"
    # A machine that is busy for half a second makes a connection look frozen once more.
    assert frozen or (len(said), run.stats["connection"]["connections"], len(run.of_kind(SNAPSHOT))) == (2, 2, 2)
    down = run.of_kind(STATUS)[0]
    wrong = invalid(run)
    assert wrong and wrong[0]["ts_recv"] == down["ts_recv"], "the book is invalid with the message that says so"
    check_same_outside(clean, run)


def test_a_book_answered_soon_after_the_first_has_what_the_first_was_joined_with(clean: VenueRun) -> None:
    # The capture's book is older than the last diff before it. What only that diff changed is among the best levels from 367 on.
    run = run_with(wire_faults.Closed(at=300, missed=20))
    check_same_outside(clean, run)


def test_an_oversize_frame_is_counted_and_named(clean: VenueRun) -> None:
    run = run_with(wire_faults.Oversized(at=AT, size=1 << 19), frame_bytes_max=1 << 18)
    assert run.stats["refused"]["LINE_TOO_LONG"] == 1
    assert "524288" in run.stats["connection"]["last_loss"].replace(",", "")


def test_a_stale_book_after_a_reconnect_is_not_believed(clean: VenueRun) -> None:
    faults = [wire_faults.StaleBook(at=AT, requests=2), wire_faults.Closed(at=AT, missed=400)]
    run = run_with(*faults)
    assert run.stats["connection"]["books_stale"] == 2
    assert len(run.of_kind(SNAPSHOT)) == 4
    check_same_outside(clean, run)


def test_a_venue_that_refuses_is_asked_again(clean: VenueRun) -> None:
    faults = [wire_faults.Refused(at=AT, handshakes=2, requests=2), wire_faults.Closed(at=AT, missed=400)]
    run = run_with(*faults)
    assert run.venue.refusals == 4
    assert run.stats["connection"]["books_refused"] == 2 and "429" in run.stats["connection"]["last_refusal"]
    assert run.stats["connection"]["losses"] == 3
    check_same_outside(clean, run)


def check_same_outside(clean: VenueRun, run: VenueRun) -> None:
    """No vector has other values than the clean run has at its moment: it has the same, or none."""
    right = {vector["ts_recv"]: vector for vector in clean.vectors}
    wrong = invalid(run)
    behind = max(vector["ts_recv"] for vector in wrong)
    names = [name for name in clean.vectors[0] if name.startswith(("bid", "ask")) and not name.endswith(".reason")]
    compared = 0
    for vector in run.vectors:
        if vector["bid_1"] is None or vector["ts_recv"] not in right:
            continue
        same = [vector[name] == right[vector["ts_recv"]][name] or vector[name] is None for name in names]
        assert all(same), f"at {vector['ts_recv']}"
        compared += vector["ts_recv"] > behind
    assert compared > 5, "the book came back"
