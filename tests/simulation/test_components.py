"""Do components start in the order of their needs, come back alone when they fail, and stop in reverse? No test sleeps: the clock
is moved, and calls come back when a test lets them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from signal_stream.components import Backoff, Component, Components, Health, PeriodicTask, PeriodicTasks, levels
from signal_stream.errors import ComponentError
from signal_stream.testing import ManualClock

S = 1_000_000_000


def at_once(_name: str, work: Callable[[], None]) -> None:
    work()


@dataclass
class Held:
    """Calls that come back when they are let."""

    waiting: dict[str, Callable[[], None]] = field(default_factory=dict)

    def launch(self, name: str, work: Callable[[], None]) -> None:
        assert name not in self.waiting
        self.waiting[name] = work

    def let(self, name: str) -> None:
        self.waiting.pop(name)()


@dataclass
class Part:
    """A part that notes what is done with it, and does what a test says."""

    name: str
    log: list[str]
    health: Health = field(default_factory=Health)
    fails: Exception | None = None
    is_ready: bool = True

    def start(self) -> None:
        self.log.append(f"start {self.name}")
        if self.fails is not None:
            raise self.fails

    def component(self, *needs: str, **more: Any) -> Component:
        return Component(
            self.name, needs, self.start, lambda: self.is_ready, lambda: self.health,
            lambda: self.log.append(f"stop {self.name}"), **more,
        )  # fmt: skip


class Rig:
    """Components with a clock that stands, and what was done with them."""

    def __init__(self, needs: dict[str, tuple[str, ...]], launch: Callable[..., None] = at_once, **more: Any) -> None:
        self.clock, self.log = ManualClock(), list[str]()
        self.parts = {name: Part(name, self.log) for name in needs}
        made = [self.parts[name].component(*of, **more) for name, of in needs.items()]
        self.components = Components(made, clock=self.clock, launch=launch)

    def step(self, ns: int = 0) -> None:
        self.clock.advance(ns)
        self.components.step()

    def pass_time(self, ns: int, every_ns: int = S // 10) -> None:
        for _ in range(ns // every_ns):
            self.step(every_ns)

    def states(self) -> dict[str, str]:
        return {each["name"]: each["state"] for each in self.components.status()}

    def of(self, name: str) -> dict[str, Any]:
        return next(each for each in self.components.status() if each["name"] == name)


TREE: dict[str, tuple[str, ...]] = {"board": ("feed", "broker"), "feed": ("broker",), "broker": (), "redis": ()}


def test_they_start_level_by_level_and_stop_in_reverse() -> None:
    rig = Rig(TREE)
    rig.components.open()
    assert rig.states() == dict.fromkeys(TREE, "READY")
    assert rig.log == ["start broker", "start redis", "start feed", "start board"]
    rig.log.clear()
    rig.components.close()
    order = [each.removeprefix("stop ") for each in rig.log]
    assert sorted(order) == sorted(TREE)
    assert all(order.index(name) < order.index(need) for name, needs in TREE.items() for need in needs)
    assert set(rig.states().values()) == {"STOPPED"}
    rig.components.close()
    assert len(rig.log) == len(TREE), "stopped twice"


def test_what_is_needed_is_stopped_when_those_that_need_it_have_stopped() -> None:
    held = Held()
    rig = Rig({"feed": ("broker",), "broker": ()}, held.launch)
    for name in ("broker", "feed"):
        rig.step(), held.let(f"start {name}"), rig.step(), held.let(f"ready {name}"), rig.step()
    rig.components.ask_stop()
    rig.step()
    assert list(held.waiting) == ["stop feed"]
    held.let("stop feed"), rig.step(S)
    assert list(held.waiting) == ["stop broker"]
    held.let("stop broker"), rig.step(2 * S), rig.clock.advance(S)
    assert set(rig.states().values()) == {"STOPPED"}
    assert [rig.of(name)["since_ns"] for name in ("feed", "broker")] == [3 * S, S]


def test_those_of_a_level_start_at_the_same_time() -> None:
    both = threading.Barrier(3, timeout=60)
    made = [Component(str(i), (), both.wait) for i in range(3)]
    components = Components(made)
    components.open()
    components.close()


def test_a_level_waits_for_what_it_needs_and_for_nothing_else() -> None:
    held = Held()
    rig = Rig(TREE | {"cache": ("redis",)}, held.launch)
    rig.step()
    assert sorted(held.waiting) == ["start broker", "start redis"]
    held.let("start redis"), rig.step(), held.let("ready redis"), rig.step()
    assert sorted(held.waiting) == ["start broker", "start cache"], "cache does not wait for broker"
    assert rig.of("board")["reason"] == "it waits for feed, broker"


def test_a_failed_one_is_tried_again_while_those_that_need_it_wait() -> None:
    rig = Rig(TREE)
    rig.parts["broker"].fails = OSError("no port")
    rig.step()
    assert rig.states() == {"board": "WAITING", "feed": "WAITING", "broker": "FAILED", "redis": "READY"}
    assert rig.of("broker")["reason"] == "no port"
    assert rig.of("broker")["retry_in_ns"] == S
    assert rig.log == ["start broker", "stop broker", "start redis"], "what failed is stopped first"
    pauses = []
    for _ in range(8):
        pauses.append(rig.of("broker")["retry_in_ns"] // S)
        rig.step(rig.of("broker")["retry_in_ns"] - 1)
        before = rig.log.count("start broker")
        rig.step(1)
        assert rig.log.count("start broker") == before + 1, "not before its time, and then"
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    rig.parts["broker"].fails = None
    rig.step(60 * S)
    rig.step()
    assert [rig.states()[name] for name in ("broker", "feed", "board")] == ["READY"] * 3
    assert rig.of("broker")["restarts"] == 9


def test_one_that_dies_comes_back_alone() -> None:
    rig = Rig(TREE)
    rig.components.open()
    rig.log.clear()
    rig.parts["broker"].health = Health("DEAD", "it was killed")
    rig.step(S)
    assert rig.states() == {"board": "READY", "feed": "READY", "broker": "FAILED", "redis": "READY"}
    rig.parts["broker"].health = Health()
    rig.pass_time(2 * S)
    assert rig.log == ["stop broker", "start broker"], "nobody else is touched"
    assert rig.of("broker")["state"] == "DEGRADED"
    assert rig.of("broker")["reason"] == "it is back, after 1 failure: it was killed"
    rig.pass_time(301 * S, S)
    assert rig.of("broker")["state"] == "READY"
    assert rig.of("broker")["uptime_ns"] > 300 * S


def test_one_that_never_becomes_ready_is_given_up_and_tried_again() -> None:
    rig = Rig({"broker": (), "feed": ("broker",)}, start_ns_max=5 * S)
    rig.parts["broker"].is_ready = False
    rig.pass_time(4 * S)
    assert rig.states() == {"broker": "STARTING", "feed": "WAITING"}
    rig.pass_time(2 * S)
    assert rig.of("broker")["reason"] == "it was not ready within 5s"
    rig.pass_time(60 * S)
    assert rig.log.count("start broker") == rig.log.count("stop broker") + (rig.of("broker")["state"] == "STARTING")
    assert rig.log.count("start broker") > 3
    assert "start feed" not in rig.log


def test_one_that_dies_at_once_is_not_started_without_end() -> None:
    rig = Rig({"broker": ()})
    rig.parts["broker"].health = Health("DEAD", "exit code 1")
    rig.pass_time(120 * S)
    assert rig.log.count("start broker") == 7  # after 1, 2, 4, 8, 16, 32 s and a second's life each


def test_one_that_dies_every_minute_is_degraded_and_waits_longer_each_time() -> None:
    rig = Rig({"broker": (), "feed": ("broker",)})
    rig.components.open()
    seen, waited = set[str](), list[int]()
    for _ in range(9):
        rig.parts["broker"].health = Health("DEAD", "out of memory")
        rig.pass_time(S, S)
        waited.append(rig.of("broker")["retry_in_ns"] // S)
        rig.parts["broker"].health = Health()
        rig.step(rig.of("broker")["retry_in_ns"])
        rig.pass_time(60 * S, S)
        seen.add(rig.of("broker")["state"])
    assert seen == {"DEGRADED"}, "it is never well while it dies so often"
    assert waited == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert rig.of("feed")["state"] == "READY"


def test_a_call_that_hangs_holds_up_nobody_else() -> None:
    held = Held()
    rig = Rig({"hung": (), "well": ()}, held.launch, start_ns_max=5 * S, stop_ns_max=3 * S)
    rig.step(), held.let("start well"), rig.step(), held.let("ready well"), rig.step()
    assert rig.states() == {"hung": "STARTING", "well": "READY"}
    rig.step(6 * S)
    assert rig.states() == {"hung": "FAILED", "well": "READY"}
    held.let("health well"), rig.step(100 * S)
    assert [name for name in held.waiting if "hung" in name] == ["start hung"], "no second call beside the first"
    rig.components.ask_stop()
    rig.step(), held.let("stop well")
    rig.step(3 * S)
    rig.components.close()
    assert "its start did not return within 3s, and was left behind" in rig.of("hung")["reason"]


def test_one_whose_health_hangs_or_fails_is_degraded_and_not_restarted() -> None:
    held = Held()
    rig = Rig({"part": ()}, held.launch)
    rig.step(), held.let("start part"), rig.step(), held.let("ready part"), rig.step()
    rig.step(S), rig.step(5 * S)
    assert rig.of("part")["reason"] == "it has not said how it is for 5s"
    held.let("health part"), rig.step()
    assert rig.of("part")["state"] == "READY"

    def broken() -> Health:
        raise RuntimeError("no answer")

    clock, log = ManualClock(), list[str]()
    part = Component("part", (), health=broken, stop=lambda: log.append("stopped"))
    components = Components([part], clock=clock, launch=at_once)
    components.open()
    clock.advance(S)
    components.step()
    assert components.status()[0]["state"] == "DEGRADED"
    assert components.status()[0]["reason"] == "its health cannot be told: no answer"
    assert not log


def test_an_open_that_fails_raises_the_error_and_leaves_nothing_behind() -> None:
    rig = Rig(TREE, backoff=Backoff(retries=0))
    rig.parts["feed"].fails = error = ValueError("a mistake")
    with pytest.raises(ValueError, match="a mistake") as raised:
        rig.components.open()
    assert raised.value is error
    assert sorted(each for each in rig.log if each.startswith("stop")) == ["stop broker", "stop feed", "stop redis"]


def test_of_two_that_fail_the_first_that_was_given_is_told() -> None:
    second_failed = threading.Event()

    def first() -> None:
        assert second_failed.wait(60)
        raise ValueError("first")

    def second() -> None:
        second_failed.set()
        raise ValueError("second")

    never = Backoff(retries=0)
    made = [Component("a", (), first, backoff=never), Component("b", (), second, backoff=never)]
    with pytest.raises(ValueError, match="first"):
        Components(made).open()


def test_one_that_is_done_stays_so_and_the_run_ends_when_all_are() -> None:
    rig = Rig({"fill": (), "serve": ("fill",)})
    rig.parts["fill"].health = rig.parts["serve"].health = Health("DONE", "the source has ended")
    rig.components.run(lambda: rig.clock.advance(S))
    assert rig.log == ["start fill", "start serve", "stop serve", "stop fill"]


def test_a_stop_is_asked_from_a_signal_handler_while_it_waits() -> None:
    rig = Rig({"part": ()})
    looks = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            rig.components.ask_stop()

    rig.components.run(look)
    assert rig.log == ["start part", "stop part"]


@pytest.mark.parametrize(
    ("needs", "code", "text"),
    [
        ({"a": ("a",)}, "CYCLE", "a: components need itself: a → a."),
        ({"x": ("b",), "b": ("c",), "c": ("d",), "d": ("b",)}, "CYCLE", "b: components need each other: b → c → d → b."),
        ({"feed": ("brokr",), "broker": ()}, "UNKNOWN_NEED", 'feed: "feed" needs "brokr", which does not exist. Did you mean "'),
        ({"feed": ("zzz",)}, "UNKNOWN_NEED", 'feed: "feed" needs "zzz", which does not exist.'),
    ],
)  # fmt: skip
def test_needs_that_cannot_be_met_are_an_error_with_the_path(needs: dict[str, Any], code: str, text: str) -> None:
    with pytest.raises(ComponentError) as raised:
        Components([Component(name, tuple(of)) for name, of in needs.items()])
    assert raised.value.code == code
    assert str(raised.value).startswith(text)


def test_two_of_one_name_are_an_error() -> None:
    with pytest.raises(ComponentError, match='2 components are called "a"'):
        levels([Component("a"), Component("a")])


def test_a_task_runs_when_it_is_due_and_an_overrun_is_counted() -> None:
    clock, done = ManualClock(), list[str]()

    def slow() -> None:
        done.append("slow")
        clock.advance(40)

    tasks = PeriodicTasks(
        [PeriodicTask("slow", 1_000, 39, slow), PeriodicTask("quick", 500, 1, lambda: done.append("quick"))],
        clock=clock,
    )
    tasks.run_due()
    assert done == []
    clock.advance(500), tasks.run_due()
    assert done == ["quick"]
    clock.advance(5_000), tasks.run_due(), tasks.run_due()
    assert done == ["quick", "slow", "quick"], "what was missed is not made up for"
    slow_task, quick_task = tasks.stats()
    assert (slow_task["runs"], slow_task["overruns"], slow_task["longest_ns"]) == (1, 1, 40)
    assert (quick_task["runs"], quick_task["overruns"], quick_task["longest_ns"]) == (2, 0, 0)


def test_a_task_that_fails_is_told_and_due_again_after_its_time() -> None:
    clock, done = ManualClock(), list[int]()

    def fails() -> None:
        done.append(1)
        raise OSError("full")

    tasks = PeriodicTasks([PeriodicTask("fails", 10, 1, fails)], clock=clock)
    clock.advance(10)
    with pytest.raises(OSError, match="full"):
        tasks.run_due()
    tasks.run_due()
    clock.advance(10)
    with pytest.raises(OSError, match="full"):
        tasks.run_due()
    assert len(done) == 2
