"""When may a worker be started after others died? Time is an argument: a week of crashes takes no time here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from signal_stream.models.restarts import BACKOFF_NS, BACKOFF_NS_MAX, DEATHS_WINDOW_NS, RETRIES_LONGER, Restarts

PAUSE = 30 * 10**9
MINUTE = DEATHS_WINDOW_NS


def pause_after(restarts: Restarts, now: int, deaths: int) -> int:
    """So many deaths at once, the last of which makes a pause; how long it is."""
    for _ in range(deaths - 1):
        restarts.note_start(now)
        restarts.note_death(now)
        assert not restarts.is_pausing
    restarts.note_start(now)
    restarts.note_death(now)
    assert restarts.is_pausing
    return restarts.not_before_ns - now


def test_the_first_death_costs_nothing_and_each_more_twice_as_much() -> None:
    restarts = Restarts(deaths_max=100, retry_after_ns=PAUSE)
    waits = []
    for _ in range(12):
        restarts.note_death(MINUTE)
        waits.append(max(restarts.not_before_ns - MINUTE, 0))
    assert waits[0] == 0
    assert waits[1:] == [min(BACKOFF_NS << i, BACKOFF_NS_MAX) for i in range(11)]
    assert not restarts.is_pausing


def test_deaths_a_minute_apart_are_each_the_first() -> None:
    restarts = Restarts(deaths_max=1, retry_after_ns=PAUSE)
    for i in range(1, 50):
        restarts.note_start(i * (MINUTE + 1))
        restarts.note_death(i * (MINUTE + 1))
        assert restarts.not_before_ns == 0
        assert not restarts.is_pausing


def test_too_many_within_a_minute_make_a_pause_and_a_pause_that_did_not_help_a_longer_one() -> None:
    restarts = Restarts(deaths_max=4, retry_after_ns=PAUSE)
    now, found = MINUTE, []
    found.append(pause_after(restarts, now, deaths=5))
    for _ in range(12):
        now = restarts.not_before_ns + MINUTE - 1
        restarts.note_start(restarts.not_before_ns)
        assert not restarts.is_pausing
        restarts.note_death(now)
        assert restarts.is_pausing, "one death is enough"
        found.append(restarts.not_before_ns - now)
    assert found == [PAUSE * min(1 << i, RETRIES_LONGER) for i in range(13)]


@given(quiet=st.integers(0, 3 * MINUTE), pauses=st.integers(1, 6), deaths_max=st.integers(1, 6))
def test_a_quiet_minute_after_a_pause_begins_anew(quiet: int, pauses: int, deaths_max: int) -> None:
    restarts = Restarts(deaths_max=deaths_max, retry_after_ns=PAUSE)
    pause_after(restarts, MINUTE, deaths_max + 1)
    for _ in range(pauses - 1):
        restarts.note_start(restarts.not_before_ns)
        restarts.note_death(restarts.not_before_ns + 1)
    began = restarts.not_before_ns
    restarts.note_start(began)
    if quiet < MINUTE:
        assert pause_after(restarts, began + quiet, 1) == PAUSE * min(1 << pauses, RETRIES_LONGER)
    else:
        assert pause_after(restarts, began + quiet, deaths_max + 1) == PAUSE
