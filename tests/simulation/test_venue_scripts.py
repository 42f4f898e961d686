"""Each venue's script against the venue's emulator on real sockets: what was recorded comes as a file would give it, and every
fault ends with the venue's book."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.venue_captures import VenueCapture, captures
from tests.venue_run import LEVELS, VenueRun, at_the_end, ladder, messages_of, plain

import signal_stream as ss
from signal_stream.testing import VenueEmulator, wire_faults
from signal_stream.testing.wire_faults import WireFault

STATUS, DISCONNECTED, CONNECTED = 7, 2, 1
SNAPSHOT, ORDER, DIFF = 4, 8, 3
FIGURES = Path(__file__).parents[1] / "data" / "connections" / "faults.json"
MEASURED: dict[tuple[str, str], dict[str, Any]] = {}
"""What each fault came to, as `docs/reference/connections.md` shows it."""
CLEAN: dict[str, VenueRun] = {}
"""Runs without faults, by venue."""
VENUES = captures()
by_venue = pytest.mark.parametrize("capture", VENUES, ids=lambda each: each.venue)


def emulator(capture: VenueCapture, *faults: WireFault, **more: Any) -> VenueEmulator:
    return VenueEmulator(
        capture.lines(), venue=capture.protocol, faults=faults, stamped=True, requests=capture.requests, **more
    )


def run_of(venue: VenueEmulator, capture: VenueCapture, **settings: Any) -> VenueRun:
    keys = {"venue": capture.venue, "symbols": list(capture.symbols)} | settings
    return VenueRun(venue, ladder(), keys, capture.instrument)


def as_recorded(venue: VenueEmulator, folder: Path) -> Path:
    """What the emulator sent, as a recorder of it would have written it."""
    path = folder / "recorded.jsonl"
    name = {"binance": "BINANCE_FUTURES", "independentreserve": "INDEPENDENT_RESERVE"}.get(venue.protocol_name)
    lines = [{"t": "header", "exchange": name or venue.protocol_name.upper()}]
    for frame in sorted(venue.sent, key=lambda frame: frame.ts_recv):
        ts = f"{frame.ts_recv // 10**9}.{frame.ts_recv % 10**9:09d}"
        about = {"t": "http", "url": frame.url} if frame.is_book else {"t": "recv"}
        lines.append(about | {"conn": "c", "ts": f"#{ts}#", "data": frame.text})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_text(text.replace('"#', "").replace('#"', ""))
    return path


def check_counts(run: VenueRun) -> None:
    """Everything that came is counted under one name, at the feed and at the engine."""
    stats, counts = run.stats, run.counts
    assert stats["lines"] == stats["messages"] + sum(stats["refused"].values())
    assert set(stats["refused"]) <= {"UNUSED_FRAME", "LINE_TOO_LONG"}, stats["refused_first"]
    judged = counts["accepted"] + counts["duplicate"] + counts["late"] + counts["rejected"]
    assert judged == counts["input"] == len(run.messages)


def check_book(run: VenueRun, capture: VenueCapture) -> None:
    """The last vector is the venue's book, as the emulator keeps it in a plain dictionary."""
    last, book = run.vectors[-1], run.venue.books[capture.focus]
    expected: list[float | None] = []
    for side in ("b", "a"):
        levels: list[Any] = [*book.levels(side, LEVELS)]  # type: ignore[arg-type]
        levels += [(None, None)] * (LEVELS - len(levels))
        for column in zip(*levels, strict=True):
            expected += [None if text is None else float(text) for text in column]
    assert list(levels_of(last)) == pytest.approx(expected)


def levels_of(vector: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        vector[f"{side}{of}_{n}"] for side in ("bid", "ask") for of in ("", "_qty") for n in range(1, LEVELS + 1)
    )


def clean(capture: VenueCapture) -> VenueRun:
    """A run without faults, made once."""
    if capture.venue not in CLEAN:
        with emulator(capture) as venue:
            CLEAN[capture.venue] = run_of(venue, capture).read(at_the_end)
    return CLEAN[capture.venue]


def measure(run: VenueRun, capture: VenueCapture, fault: str, since: int) -> dict[str, Any]:
    """What a fault came to that shows from the moment `since` on; what was right at that moment came before it."""
    right = {vector["ts_recv"]: levels_of(vector) for vector in clean(capture).vectors}
    after = [
        each for each in run.vectors if each["ts_recv"] > since or (each["ts_recv"] == since and each["bid_1"] is None)
    ]
    invalid = next((n for n, vector in enumerate(after) if vector["bid_1"] is None), None)
    wrong = [
        vector
        for vector in after
        if vector["bid_1"] is not None
        and any(
            value not in (None, expected)
            for value, expected in zip(levels_of(vector), right.get(vector["ts_recv"], levels_of(vector)), strict=True)
        )
    ]
    seen = [reason for vector in after[invalid:] if (reason := vector["bid_1.reason"])] if invalid is not None else []
    row = {"venue": capture.venue, "fault": fault, "seen": next(iter(seen), None)}
    row |= {"after": None if invalid is None else invalid + 1, "wrong": len(wrong)}
    MEASURED[capture.venue, fault] = row
    return row


def test_recordings_are_at_hand_where_they_must_be() -> None:
    if os.environ.get("SIGNAL_STREAM_REQUIRE_DATA") == "1":
        assert len(VENUES) == 9
    assert {"bybit", "hyperliquid"} <= {each.venue for each in VENUES}


@by_venue
def test_what_comes_is_what_a_file_would_give(capture: VenueCapture, tmp_path: Path) -> None:
    run = clean(capture)
    venue, asked = run.venue, run.stats["connection"]
    path = as_recorded(venue, tmp_path)
    of_file = [row for batch in ss.read_tape(path, max_rejected="100%") for row in messages_of(batch)]
    assert run.messages == of_file
    assert len(of_file) > 50
    check_counts(run)
    check_book(run, capture)
    assert asked["gaps"] == asked["losses"] == asked["subscriptions_refused"] == 0, asked
    assert asked["subscriptions"] >= 1
    assert asked["books_asked"] == venue.books_sent
    assert venue.protocol.alive >= venue.protocol.asked, "who is asked for a sign of life gives it"
    again = ss.Engine(ladder())
    batches = ss.read_tape(path, max_rejected="100%")
    values = [row for batch in batches for row in plain(again.push(batch, reasons=True))]
    assert run.vectors == [row for row in values if row["instrument"] == capture.instrument]


FAULTS = {
    "Closed": "the venue closes the connection",
    "Severed": "the connection breaks",
    "Frozen": "the venue falls silent",
    "Oversized": "a frame is too long",
}


@pytest.mark.parametrize(
    ("capture", "kind"),
    # What is done about a connection is the same for all venues.
    [(each, kind) for each in VENUES for kind in FAULTS if kind == "Closed" or each.venue == "bybit"],
    ids=lambda each: each if isinstance(each, str) else each.venue,
)
def test_a_lost_connection_ends_with_the_venues_book(capture: VenueCapture, kind: str) -> None:
    frames = clean(capture).venue.frames
    at, missed = len(frames) // 2, len(frames) // 10
    faults = {
        "Closed": wire_faults.Closed(at=at, code=1001, reason="going away", missed=missed),
        "Severed": wire_faults.Severed(at=at, missed=missed),
        "Frozen": wire_faults.Frozen(at=at, missed=missed),
        "Oversized": wire_faults.Oversized(at=at, size=(1 << 21) + 1, missed=missed),
    }
    frozen = kind == "Frozen"
    with emulator(capture, faults[kind]) as venue:
        run = run_of(
            venue,
            capture,
            stale_after="700ms" if frozen else "30s",
            frame_bytes_max=1 << 24 if kind == "Closed" else 1 << 21,
        ).read(at_the_end)
    check_counts(run)
    check_book(run, capture)
    said = [message["code"] for message in run.messages if message["kind"] == STATUS]
    known = len(said) // 2
    assert known >= 1
    # A machine that is busy for so long makes a connection look frozen once more.
    assert frozen or (run.stats["connection"]["losses"], said) == (1, [DISCONNECTED] * known + [CONNECTED] * known)
    down = next(message for message in run.messages if message["kind"] == STATUS)
    row = measure(run, capture, FAULTS[kind], down["ts_recv"])
    assert row["wrong"] == 0
    at_once = [vector for vector in run.vectors if vector["ts_recv"] == down["ts_recv"]]
    assert any(vector["bid_1"] is None for vector in at_once), "the book is invalid with the message that says so"


@by_venue
def test_a_lost_diff_ends_with_the_venues_book(capture: VenueCapture) -> None:
    frames, protocol = clean(capture).venue.frames, clean(capture).venue.protocol
    at = next(i for i in range(len(frames) // 2, len(frames)) if changes_the_best(capture, frames, i))
    waits = at + 80 if protocol.links == "none" else None
    with emulator(capture, wire_faults.Dropped(at=at), until=waits) as venue:
        run = run_of(venue, capture)
        run.source.open(None)
        try:
            if waits is not None and capture.venue != "hyperliquid":
                run.read_on(lambda run: run.stats_now()["books_asked"] > 0 and book_came_back(run, frames[at].ts_recv))
            venue.go_on()
            run.read_on(at_the_end)
        finally:
            run.source.close()
    check_counts(run)
    check_book(run, capture)
    after = [vector for vector in run.vectors if vector["ts_recv"] > frames[at].ts_recv]
    row = measure(run, capture, "a message is lost", frames[at].ts_recv)
    assert row["wrong"] == 0
    if capture.venue == "hyperliquid":
        assert all(vector["bid_1"] is not None for vector in after), "the next frame is a whole book"
        return
    assert run.notices
    assert any(vector["bid_1"] is None for vector in after)
    if protocol.links == "book":
        assert after[0]["bid_1"] is None, "the first event behind the loss shows it"


def changes_the_best(capture: VenueCapture, frames: list[Any], at: int) -> bool:
    """Whether a frame is a diff of the focus and others follow, by which a loss can be seen."""
    frame = frames[at]
    follow = sum(each.is_depth and each.channel.symbol == capture.focus for each in frames[at + 1 : at + 80])
    return frame.is_depth and frame.channel.symbol == capture.focus and follow >= 3


def book_came_back(run: VenueRun, since: int) -> bool:
    """Whether the book was invalid after a moment, and is there again."""
    after = [vector["bid_1"] for vector in run.vectors if vector["ts_recv"] > since]
    return None in after and after[-1] is not None


@pytest.mark.parametrize("capture", [each for each in VENUES if each.venue in ("kucoin", "independentreserve")],
                         ids=lambda each: each.venue)  # fmt: skip
def test_a_venue_that_refuses_is_asked_again(capture: VenueCapture) -> None:
    at = len(clean(capture).venue.frames) // 2
    missed = at // 5
    faults = [wire_faults.Refused(at=at, handshakes=1, requests=3), wire_faults.Closed(at=at, missed=missed)]
    with emulator(capture, *faults) as venue:
        run = run_of(venue, capture).read(at_the_end)
    check_counts(run)
    check_book(run, capture)
    assert venue.refusals == 4
    assert run.stats["connection"]["books_refused"] == 3 and "429" in run.stats["connection"]["last_refusal"]
    assert run.stats["connection"]["losses"] == 2
    assert "429" in run.stats["connection"]["last_loss"]


@by_venue
def test_what_a_venue_does_not_know_is_said_in_its_words(capture: VenueCapture) -> None:
    with emulator(capture) as venue:
        run = run_of(venue, capture, symbols=["none-aud"], streams=["depth"])
        run.source.open(None)
        try:
            run.read_on(lambda run: run.stats_now()["subscriptions_refused"] > 0)
            connection = run.stats_now()
        finally:
            run.source.close()
    assert connection["last_subscription_refusal"]
    assert connection["connected"] and connection["losses"] == 0


def test_the_figures_are_those_of_the_page() -> None:
    """The last: with SIGNAL_STREAM_WRITE_FIGURES=1 what the tests before it have measured is written instead."""
    if os.environ.get("SIGNAL_STREAM_WRITE_FIGURES") == "1":
        rows = [MEASURED[key] for key in sorted(MEASURED)]
        FIGURES.parent.mkdir(exist_ok=True)
        FIGURES.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")
        return
    figures = {(row["venue"], row["fault"]): row for row in json.loads(FIGURES.read_text())}
    for key, row in MEASURED.items():
        assert row == figures[key]
    assert len(figures) == 9 * 2 + 3
