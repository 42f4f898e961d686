"""Which events lie between two looks at a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import events

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .metric import Found


def changes(before: Found, now: Found) -> Iterator[events.Event]:
    """What happened between two looks at the same state folder, oldest cause first.

    Counts that fell belong to another process: they are counted from zero. What stood at the first look is no event.
    """
    began = before.get("started_at") != now.get("started_at") and now["serving"]
    if began and "pid" in now and now["pid"] is not None:
        yield events.PipelineBegan(pid=now["pid"])
    if before["state"] != now["state"]:
        yield events.StateChanged(before=before["state"], now=now["state"], reason=str(now["reason"]))
    was, health = before["health"], now["health"]
    if was["overall"] != health["overall"]:
        yield events.HealthChanged(before=was["overall"], now=health["overall"], reasons="; ".join(health["reasons"]))
    yield from _latches(before["latches"], now["latches"])
    if "counts" not in before or "counts" not in now:
        return
    yield from _source(before, now)
    yield from _models(before, now)
    yield from _sinks(before, now)
    for task in ("snapshot", "upkeep"):
        was, failure = (each["journal"].get(f"{task}_failure") for each in (before, now))
        if failure is not None and failure != was:
            yield events.TaskFailed(task=task, error=failure)
        elif was is not None and failure is None:
            yield events.TaskRecovered(task=task)
    yield from _observers(before, now)
    if restarts := _rise(before.get("gateway") or {}, now.get("gateway") or {}, "restarts"):
        yield events.GatewayRestarted(number=restarts)


def _latches(before: tuple[str, ...], now: tuple[str, ...]) -> Iterator[events.Event]:
    for latch in now:
        if latch not in before:
            yield events.LatchSet(latch=latch)
    for latch in before:
        if latch not in now:
            yield events.LatchRearmed(latch=latch)


def _source(before: Found, now: Found) -> Iterator[events.Event]:
    counts = before["counts"], now["counts"]
    if (gaps := _rise(*counts, "gaps")) | (missing := _rise(*counts, "missing")):
        yield events.SourceGap(number=gaps, missing=missing)
    if shed := _rise(before["source"], now["source"], "shed_messages"):
        yield events.MessagesShed(number=shed)
    if refused := _rise(_sum(before["refused"]), _sum(now["refused"]), "all"):
        yield events.MessagesRefused(number=refused)


def _models(before: Found, now: Found) -> Iterator[events.Event]:
    known = {each["ref"]: each for each in before["models"]}
    for model in now["models"]:
        name = model.get("name") or model["ref"].partition("@")[0]
        was = known.get(model["ref"], model)
        if failed := _rise(was, model, "deaths") + _rise(was, model, "hangs"):
            yield events.WorkerRestarted(model=name, number=failed, error=str(model.get("last_error", "")))
        states = tuple(each.get("state") in ("READY", "DEGRADED") for each in (was, model))
        if states == (True, False) and now["serving"]:
            yield events.ModelUnready(model=name, error=str(model.get("last_error", "")))
        elif states == (False, True):
            yield events.ModelReady(model=name)
        if missed := _rise(was, model, "deadline_misses"):
            yield events.DeadlineMissed(model=name, number=missed)
        if was.get("registry", "") != model.get("registry", ""):
            yield events.ModelMoved(model=name, registry=model.get("registry", ""))


def _sinks(before: Found, now: Found) -> Iterator[events.Event]:
    known = {each["sink"]: each for each in before.get("sinks", ())}
    for sink in now.get("sinks", ()):
        name, was = sink["sink"], known.get(sink["sink"], {"state": "OK"})
        if sink["state"] == "DEGRADED" != was["state"]:
            yield events.SinkDegraded(sink=name, error=str(sink["error"]))
        elif was["state"] == "DEGRADED" != sink["state"]:
            yield events.SinkRecovered(sink=name)
        if skipped := _rise(was, sink, "skipped"):
            yield events.SinkSkipped(sink=name, number=skipped)


def _observers(before: Found, now: Found) -> Iterator[events.Event]:
    known = {each["name"]: each for each in before.get("observers", ())}
    for observer in now.get("observers", ()):
        was = known.get(observer["name"], {})
        dropped, failed = _rise(was, observer, "dropped"), _rise(was, observer, "failed")
        if dropped or failed:
            yield events.ObserverDropped(
                observer=observer["name"], dropped=dropped, failed=failed, error=observer["last_error"]
            )


def _rise(before: Mapping[str, Any], now: Mapping[str, Any], name: str) -> int:
    """By how much a count has grown: all of it where it began anew."""
    was, is_now = before.get(name) or 0, now.get(name) or 0
    return int(is_now - was if is_now >= was else is_now)


def _sum(counts: Mapping[str, int]) -> dict[str, int]:
    return {"all": sum(counts.values())}
