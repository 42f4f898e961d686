"""Does the judgement of a pipeline tell apart what a probe has to act on, from what was found of it and the time alone?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Market

from signal_stream.cli.status_lines import status_lines
from signal_stream.durations import duration_ns
from signal_stream.errors import SettingsError
from signal_stream.monitor.health import EXIT_CODES, AgeLimits, Judgement, judge
from signal_stream.settings import load_deployment
from signal_stream.settings.health import HealthSettings

S = 1_000_000_000
NOW = 1_700_000_000 * S


def found(**more: Any) -> dict[str, Any]:
    """What `look` finds of a pipeline that is well, with something changed."""
    model = {"ref": "m@1", "name": "m", "state": "READY", "stage": "live", "registry": "", "last_error": "",
             "newest": {"data_age_ns": S // 10}}  # fmt: skip
    well: dict[str, Any] = {
        "state": "SERVING", "reason": "", "serving": True, "pid": 1, "pipeline": "p", "written_at": NOW - S,
        "started_at": NOW - 60 * S,
        "status_age_ns": S, "damage": None, "latches": (), "counts": {}, "models": (model,), "components": (),
        "source": {"silent_ns": S, "clock": "wall", "newest_recv": NOW - 2 * S}, "sinks": (), "journal": {}, "age_limits": None,
    }  # fmt: skip
    return well | more


def source(**more: Any) -> dict[str, Any]:
    return found()["source"] | more


def model(**more: Any) -> tuple[dict[str, Any]]:
    return (found()["models"][0] | more,)


def test_what_is_well_is_ok() -> None:
    judged = judge(found(), now=NOW)
    assert judged == Judgement(
        "OK", (), is_live=True, is_ready=True, uptime_ns=60 * S,
        ages={"source": {"age_ns": 2 * S, "class": "FRESH"}, "model m@1": {"age_ns": S // 10 + S, "class": "FRESH"}},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("more", "overall", "live", "ready", "said"),
    [
        ({"state": "STARTING", "reason": "it opens its models"}, "DEGRADED", True, False, "starting: it opens its models"),
        ({"state": "STOPPED", "serving": False, "reason": "SIGTERM"}, "DEGRADED", True, False, "stopped: SIGTERM"),
        ({"state": "NEVER SERVED", "serving": False}, "DEGRADED", True, False, "never served"),
        ({"state": "DEAD", "serving": False}, "CRITICAL", False, False, "dead"),
        ({"state": "HUNG"}, "CRITICAL", False, False, "hung"),
        ({"state": "HALTED", "serving": False, "reason": "disk full"}, "CRITICAL", True, False, "halted: disk full"),
        ({"state": "FAILED", "serving": False}, "CRITICAL", True, False, "failed"),
        ({"state": "SILENT"}, "CRITICAL", True, False, "silent"),
        ({"damage": "bytes differ"}, "CRITICAL", True, False, "journal: bytes differ"),
        ({"latches": ("all, by ada",)}, "DEGRADED", True, True, "killed: all, by ada"),
        ({"models": model(state="FAILED", last_error="no file")}, "CRITICAL", True, False, "model m@1: no file"),
        ({"models": model(state="FAILED", stage="shadow")}, "OK", True, True, None),
        ({"models": model(registry="m@2 is live")}, "DEGRADED", True, True, "registry: m@2 is live"),
        ({"components": ({"name": "upkeep", "state": "DEGRADED", "reason": "full"},)}, "DEGRADED", True, True, "upkeep: full"),
        ({"sinks": ({"sink": "s", "state": "DEGRADED", "error": "gone"},)}, "DEGRADED", True, True, "sinks: s: gone"),
        ({"journal": {"upkeep_failure": "full"}}, "DEGRADED", True, True, "upkeep: full"),
    ],
)  # fmt: skip
def test_what_is_not_well_is_told_apart(
    more: dict[str, Any], overall: str, live: bool, ready: bool, said: str | None
) -> None:
    judged = judge(found(**more), now=NOW)
    assert (judged.overall, judged.is_live, judged.is_ready) == (overall, live, ready)
    assert judged.reasons[:1] == (() if said is None else (said,))


@pytest.mark.parametrize(
    ("minutes", "name", "overall"),
    [
        (4.9, "FRESH", "OK"),
        (5, "RECENT", "OK"),
        (14.9, "RECENT", "OK"),
        (15, "OLD", "DEGRADED"),
        (60, "STALE", "CRITICAL"),
    ],
)
def test_data_grows_old(minutes: float, name: str, overall: str) -> None:
    newest = NOW - round(minutes * 60 * S)
    judged = judge(found(source=source(newest_recv=newest)), now=NOW)
    assert judged.ages["source"]["class"] == name
    assert judged.overall == overall
    old = {"data_age_ns": round(minutes * 60 * S) - S}
    judged = judge(found(models=model(newest=old)), now=NOW)
    assert judged.ages["model m@1"]["class"] == name
    assert judged.overall == overall


def test_the_limits_are_those_of_the_deployment_and_relative_to_its_unit() -> None:
    limits = HealthSettings.read({"unit": "1s", "recent": 20}).limits()
    assert limits == {"fresh_ns": 5 * S, "recent_ns": 20 * S, "old_ns": 60 * S}
    judged = judge(found(age_limits=limits | {"of_the_future": 1}, source=source(newest_recv=NOW - 20 * S)), now=NOW)
    assert judged.ages["source"]["class"] == "OLD"
    assert HealthSettings.read({}).limits() == {
        f"{each}_ns": getattr(AgeLimits(), f"{each}_ns") for each in ("fresh", "recent", "old")
    }


def test_limits_that_contradict_each_other_are_told_with_their_line(tmp_path: Path) -> None:
    served = Market(tmp_path, tmp_path / "x.gz", tmp_path / "registry", None, None).deploy(  # type: ignore[arg-type]
        tmp_path, more="\n[health]\nfresh = 5\nrecent = 4\n"
    )
    with pytest.raises(SettingsError, match=r"\[health\] recent = 4 is less than fresh = 5") as caught:
        load_deployment(served.deployment)
    line = served.deployment.read_text().splitlines().index("recent = 4") + 1
    assert caught.value.where == f"{served.deployment}:{line}"


def test_a_recording_and_a_delayed_feed_are_old_by_their_own_clock() -> None:
    recorded = judge(found(source=source(clock="recorded", newest_recv=5)), now=NOW)
    assert recorded.ages["source"]["age_ns"] == 2 * S
    assert judge(found(source={"url": "file://x"}), now=NOW).ages.keys() == {"model m@1"}
    later = judge(found(), now=NOW + 3600 * S)
    assert later.ages["source"]["class"] == "STALE", "what was written an hour ago says nothing of now"


def test_max_age_is_of_the_data_and_of_the_status() -> None:
    assert judge(found(), now=NOW, max_age_ns=duration_ns("2s")).overall == "OK"
    judged = judge(found(), now=NOW, max_age_ns=2 * S - 1)
    assert (judged.overall, judged.reasons) == ("CRITICAL", ("stale: source: its data is 2.0 s old",))
    quiet = found(source={"url": "file://x"}, models=())
    assert judge(quiet, now=NOW, max_age_ns=S - 1).reasons == ("stale: the status is 1.0 s old",)
    assert judge(found(state="STOPPED", serving=False), now=NOW, max_age_ns=1).overall == "DEGRADED"


def test_the_worst_is_told_first_and_each_has_its_exit_code() -> None:
    judged = judge(found(latches=("all",), models=model(state="FAILED", last_error="no file")), now=NOW)
    assert judged.reasons == ("model m@1: no file", "killed: all")
    assert [EXIT_CODES[each] for each in ("OK", "DEGRADED", "CRITICAL")] == [0, 1, 2]


def test_a_status_in_words_says_how_it_is_and_which_part_is_not_well() -> None:
    counts = dict.fromkeys(("input", "accepted", "duplicate", "late", "rejected", "gaps"), 0)
    more = {"url": "stdin:", "queue_rows_max": 0, "shed_messages": 0, "ended": False}
    ill = found(
        counts=counts, source=source(**more), vectors=0, signals={}, codes={}, last_signal=None, journal={"not_reproduced": 0},
        components=({"name": "tape", "state": "DEGRADED", "reason": "its index was made anew at the start: 3 for 4"},
                    {"name": "upkeep", "state": "DEGRADED", "reason": "OSError: full"}),
        tasks=({"task": "status", "overruns": 3, "longest_ns": 31_000_000}, {"task": "sinks", "overruns": 0, "longest_ns": 1}),
    )  # fmt: skip
    ill["health"] = judge(ill, now=NOW).to_dict()
    lines = [str(each).rstrip("\n") for each in status_lines(Path("state"), ill)]
    assert lines[1:5] == [
        "  health    DEGRADED  up for 1 min, source: fresh, 2.0 s old",
        "  tape      its index was made anew at the start: 3 for 4",
        "  upkeep    OSError: full",
        "  overdue   status 3 (up to 31 ms)",
    ]
    json.dumps(ill)
