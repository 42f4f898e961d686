"""What `status` says of a pipeline, line by line: each thing that is not as it was meant has words of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from signal_stream.cli.status_lines import status_lines

S = 1_000_000_000
MODEL = {
    "ref": "m@1",
    "state": "READY",
    "stage": "live",
    "kind": "onnx",
    "registry": "",
    "last_error": "",
    "retry_in_ns": None,
}
SINK = {
    "sink": "file://s",
    "state": "OK",
    "error": "",
    "retry_in_ns": None,
    "lag_records": 0,
    "lag_ns": 0,
    "skipped": 0,
}
OBSERVER = {"name": "log", "shown": 1200, "dropped": 0, "failed": 0, "last_error": ""}
SOURCE = {"url": "stdin:", "queue_rows": 0, "queue_rows_max": 0, "shed_messages": 0, "ended": False}
WELL: dict[str, Any] = {
    "state": "SERVING", "reason": "", "serving": True, "pid": 7, "pipeline": "p", "status_age_ns": S, "damage": None,
    "latches": (), "vectors": 12_000, "signals": {"PASS": 11_000, "VETO": 900, "HALT": 100}, "codes": {"STALE": 1000},
    "counts": {"input": 2006, "accepted": 2000, "duplicate": 1, "late": 2, "rejected": 3, "gaps": 4},
    "models": (MODEL,), "source": SOURCE, "last_signal": None, "journal": {"not_reproduced": 0}, "health": None,
}  # fmt: skip


def lines(**more: Any) -> list[str]:
    return [str(each).rstrip("\n") for each in status_lines(Path("state"), WELL | more)]


def test_what_is_well_is_five_lines_and_a_head() -> None:
    assert lines() == [
        "p  serving  process 7",
        "  models    m@1 (ready)",
        "  source    stdin:",
        "  events    2,006 = 2,000 accepted + 1 duplicate + 2 late + 3 rejected   gaps 4",
        "  vectors   12,000",
        "  signals   11,000 passed, 1,000 vetoed   STALE 1,000",
    ]


def test_a_folder_that_was_never_served_says_so_and_what_is_killed() -> None:
    never: dict[str, Any] = {"state": "NEVER SERVED", "serving": False, "latches": ("all killed by ann",), "reason": ""}
    assert [str(each).rstrip("\n") for each in status_lines(Path("state"), never)] == [
        "state  never served  nothing has been served from this state folder yet",
        "  killed    all killed by ann",
    ]
    starts = never | {"state": "STARTING", "serving": True, "latches": (), "reason": "it opens its models"}
    assert str(status_lines(Path("state"), starts)[0]).rstrip() == "state  starting  it opens its models"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"serving": False, "state": "DEAD", "reason": "it was killed"}, "p  dead  it was killed"),
        ({"state": "SILENT", "reason": "nothing came"}, "p  silent  process 7: nothing came"),
        ({"latches": ("m killed by ann",)}, "  killed    m killed by ann"),
        ({"damage": "j: bytes differ"}, "  journal   j: bytes differ"),
        ({"last_signal": {"signal_id": "0123456789", "ts_recv": 0, "age_ns": 2 * S}},
         "  last      01234567 at 1970-01-01T00:00:00.000Z, 3.0 s ago"),
        ({"journal": {"not_reproduced": 1500}}, "  not made again  1,500 recorded signals after a restart"),
        ({"models": (MODEL | {"retry_in_ns": 2 * S, "last_error": "no file."},)},
         "  model     m@1: no file. The next try is in 2.0 s."),
        ({"models": (MODEL | {"registry": "m@2 is live, serving m@1"},)}, "  registry  m@2 is live, serving m@1"),
        ({"models": (MODEL | {"stage": "shadow", "kind": "python"},)}, "  models    m@1 (ready, shadow, python)"),
        ({"models": (MODEL | {"unasked": {"A": 1, "B": 2, "C": 3, "D": 4, "E": 5}, "instruments": ["V", "W", "X", "Y"]},)},
         "  model     m@1 has no signals for A (1 vectors), B (2 vectors), C (3 vectors) and 2 more: it is for V, W, X, …; "
         "[[model]] instruments = [...] widens that"),
        ({"sinks": (SINK,)}, "  sink      file://s  ok, 0 records behind"),
        ({"sinks": (SINK | {"state": "CATCHING UP", "lag_records": 1200, "lag_ns": 3 * S, "skipped": 1000},)},
         "  sink      file://s  catching up, 1,200 records behind, the oldest for 3.0 s, 1,000 signals left out"),
        ({"sinks": (SINK | {"state": "DEGRADED", "error": "disk full.", "retry_in_ns": 4 * S},)},
         "  sink      file://s  degraded, 0 records behind: disk full. The next try is in 4.0 s."),
        ({"sinks": (SINK | {"state": "DEGRADED", "error": "disk full."},)},
         "  sink      file://s  degraded, 0 records behind: disk full."),
        ({"gateway": {"state": "OK", "servers": ({"name": "metrics", "listen": "127.0.0.1:9"},)}},
         "  gateway   metrics at 127.0.0.1:9"),
        ({"gateway": {"state": "STARTING", "servers": ()}}, "  gateway   starting"),
        ({"gateway": {"state": "WAITING", "waits_for": 9, "servers": ()}}, "  gateway   process 9 serves it"),
        ({"gateway": {"state": "DEGRADED", "error": "it ended", "servers": ()}},
         "  gateway   degraded: it ended. It is tried again."),
        ({"observers": (OBSERVER,)}, "  observer  log: 1,200 decisions shown"),
        ({"observers": (OBSERVER | {"dropped": 1000, "failed": 2, "last_error": "KeyError: 'x'"},)},
         "  observer  log: 1,200 decisions shown, 1,000 dropped, 2 failed (KeyError: 'x')"),
        ({"source": SOURCE | {"queue_rows": 5, "queue_rows_max": 65536, "queue_age_ns": 1_250_000_000}},
         "  source    stdin:, queue 5 of 65,536 rows, the oldest for 1.2 s"),
        ({"source": SOURCE | {"url": None, "queue_rows": 5, "queue_rows_max": 65536}},
         "  source    a source without a URL, queue 5 of 65,536 rows"),
        ({"source": SOURCE | {"clock": "recorded", "shed_messages": 1000}},
         "  source    stdin:, a recording, old by its own clock, 1,000 messages shed"),
        ({"source": SOURCE | {"venue_delay_ns": {"p50": 12_300_000, "least": 1}, "ended": True}},
         "  source    stdin:, 12.3 ms from the venue, at its end"),
        ({"source": SOURCE | {"venue_delay_ns": {"p50": 0, "least": -2_500_000}, "stopped": True}},
         "  source    stdin:, 0.0 ms from the venue, whose clock is ahead of ours by 2.5 ms or more, stopped before its end"),
    ],
)  # fmt: skip
def test_what_is_not_as_usual_has_a_line(more: dict[str, Any], said: str) -> None:
    assert said in lines(**more)


def test_of_a_pipeline_that_ended_nothing_is_said_that_holds_only_while_it_runs() -> None:
    ended = {"serving": False, "state": "STOPPED", "reason": "SIGTERM"}
    waits = MODEL | {"retry_in_ns": 2 * S, "last_error": "no file."}
    found = lines(**ended, models=(waits,), gateway={"state": "OK", "servers": ()})
    assert found[:2] == ["p  stopped  SIGTERM", "  models    m@1"]
    assert not any(each.startswith(("  gateway", "  model  ")) for each in found)


def test_damage_and_kills_stand_last_where_they_are_seen() -> None:
    found = lines(latches=("all",), damage="bytes differ", sinks=(SINK,))
    assert found[-2:] == ["  journal   bytes differ", "  killed    all"]


def test_colours_tell_the_well_from_the_ill() -> None:
    def colour(state: str, *, serving: bool) -> str:
        return str(status_lines(Path("state"), WELL | {"state": state, "serving": serving})[0].spans[1].style)

    assert [colour("SERVING", serving=True), colour("STOPPED", serving=False)] == ["green", "yellow"]
    assert [colour("DEAD", serving=False), colour("HUNG", serving=True)] == ["red", "red"]
