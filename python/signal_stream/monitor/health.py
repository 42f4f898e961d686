"""Whether a pipeline is well: one judgement of what was found of it, for `status`, `/readyz`, `/livez` and probes alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal

from signal_stream.durations import ago
from signal_stream.records import speaks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Overall = Literal["OK", "DEGRADED", "CRITICAL"]
AgeClass = Literal["FRESH", "RECENT", "OLD", "STALE"]

EXIT_CODES: Final[Mapping[Overall, int]] = {"OK": 0, "DEGRADED": 1, "CRITICAL": 2}
_MINUTE_NS: Final = 60_000_000_000
_STATES: Final[Mapping[str, Overall]] = {
    "SERVING": "OK",
    "STARTING": "DEGRADED",
    "STOPPED": "DEGRADED",
    "NEVER SERVED": "DEGRADED",
}
"""Every other state is CRITICAL: nobody meant it, and no signal comes."""
_GONE: Final = ("HUNG", "DEAD")


@dataclass(frozen=True, slots=True)
class AgeLimits:
    """Data younger than `fresh_ns` is FRESH, than `recent_ns` RECENT, than `old_ns` OLD; all other is STALE."""

    fresh_ns: int = 5 * _MINUTE_NS
    recent_ns: int = 15 * _MINUTE_NS
    old_ns: int = 60 * _MINUTE_NS

    def of(self, age_ns: int) -> AgeClass:
        """The class of an age.

        >>> [AgeLimits().of(minutes * 60 * 10**9) for minutes in (0, 5, 15, 60)]
        ['FRESH', 'RECENT', 'OLD', 'STALE']
        """
        if age_ns < self.fresh_ns:
            return "FRESH"
        if age_ns < self.recent_ns:
            return "RECENT"
        return "OLD" if age_ns < self.old_ns else "STALE"


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a pipeline is. `reasons` say why it is not OK, the worst first. `ages` are of the data: `age_ns` and `class` of the
    source and of what each model's newest signal rests on. `uptime_ns` is None while it is not served."""

    overall: Overall
    reasons: tuple[str, ...]
    is_live: bool
    """Whether the process works: one that is not should be started again."""
    is_ready: bool
    """Whether its signals can be relied on now."""
    uptime_ns: int | None
    ages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def judge(found: Mapping[str, Any], *, now: int, max_age_ns: int | None = None) -> Judgement:
    """Judges what `look` found, at `now` (ns since 1970 UTC). Data, or a status, older than `max_age_ns` is CRITICAL, whatever
    its class. Pure: neither clock nor folder is looked at."""
    state = found["state"]
    serving = bool(found.get("serving")) and "counts" in found
    since_ns = max(0, now - found["written_at"]) if "counts" in found else 0
    ages = _ages(found, since_ns) if "counts" in found else {}
    said = [*_of_state(found), *_of_latches(found)]
    if serving and state != "STARTING":
        said += [*_of_ages(found, ages, since_ns, max_age_ns), *_of_parts(found)]
    ranked = sorted(said, key=lambda each: -EXIT_CODES[each[0]])
    overall: Overall = ranked[0][0] if ranked else "OK"
    return Judgement(
        overall=overall,
        reasons=tuple(reason for _, reason in ranked),
        is_live=state not in _GONE,
        is_ready=state == "SERVING" and overall != "CRITICAL",
        uptime_ns=max(0, now - found["started_at"]) if serving else None,
        ages=ages,
    )


_LIMITS: Final = tuple(each.name for each in fields(AgeLimits))
Said = tuple[Overall, str]


def _of_state(found: Mapping[str, Any]) -> Iterator[Said]:
    state, reason = found["state"], found.get("reason") or ""
    overall: Overall = _STATES.get(state, "CRITICAL")
    if overall != "OK":
        yield overall, f"{state.lower()}{': ' if reason else ''}{reason}"
    if found.get("damage"):
        yield "CRITICAL", f"journal: {found['damage']}"
    for part, what in found.get("damaged", {}).items():
        if part != "latches":  # which stand below
            yield "DEGRADED" if found.get("serving") else "CRITICAL", f"{part}: {what}"


def _of_latches(found: Mapping[str, Any]) -> Iterator[Said]:
    for latch in found.get("latches", ()):
        yield "DEGRADED", f"killed: {latch}"


def _of_ages(
    found: Mapping[str, Any], ages: Mapping[str, Mapping[str, Any]], since_ns: int, max_age_ns: int | None
) -> Iterator[Said]:
    if max_age_ns is not None and since_ns > max_age_ns:
        yield "CRITICAL", f"stale: the status is {ago(since_ns)} old"
    live = "silent_ns" in found["source"]
    for name, age in ages.items():
        text = f"{name}: its data is {ago(age['age_ns'])} old"
        if max_age_ns is not None and age["age_ns"] > max_age_ns:
            yield "CRITICAL", f"stale: {text}"
        elif live and age["class"] in ("OLD", "STALE"):
            yield "DEGRADED" if age["class"] == "OLD" else "CRITICAL", f"{age['class'].lower()}: {text}"


def _of_parts(found: Mapping[str, Any]) -> Iterator[Said]:
    """What of the process is not well."""
    for model in found["models"]:
        if model.get("state") == "FAILED" and (model.get("stage") is None or speaks(model["stage"])):
            yield "CRITICAL", f"model {model['ref']}: {model.get('last_error') or 'no worker answers'}"
        if model.get("registry"):
            yield "DEGRADED", f"registry: {model['registry']}"
    components = found.get("components", ())
    for each in components:
        if each["state"] == "DEGRADED":
            yield "DEGRADED", f"{each['name']}: {each['reason']}"
    if not components:  # of a version before components
        for sink in found.get("sinks", ()):
            if sink["state"] == "DEGRADED":
                yield "DEGRADED", f"sinks: {sink['sink']}: {sink['error']}"
        for what in ("snapshot", "upkeep"):
            if found["journal"].get(f"{what}_failure"):
                yield "DEGRADED", f"{what}: {found['journal'][f'{what}_failure']}"


def _ages(found: Mapping[str, Any], since_ns: int) -> dict[str, dict[str, Any]]:
    """How old the data of the source and of each model is now. A source that is read from a file has no age."""
    limits = AgeLimits(**{name: value for name, value in (found.get("age_limits") or {}).items() if name in _LIMITS})
    source, ages = found["source"], {}
    if "silent_ns" in source:
        ages["source"] = source["silent_ns"] + since_ns
        if source.get("clock") == "wall" and source.get("newest_recv") is not None:
            ages["source"] = max(ages["source"], found["written_at"] + since_ns - source["newest_recv"])
    for model in found["models"]:
        newest = model.get("newest")
        if newest is not None and newest.get("data_age_ns") is not None:
            ages[f"model {model['ref']}"] = newest["data_age_ns"] + since_ns
    return {name: {"age_ns": age_ns, "class": limits.of(age_ns)} for name, age_ns in ages.items()}
