"""A pipeline's status in words, as `status` prints it and `serve` at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from signal_stream.cli.text import line
from signal_stream.durations import ago, utc

if TYPE_CHECKING:
    from pathlib import Path

    from rich.text import Text

WELL: Final = frozenset({"SERVING", "STARTING", "STOPPED", "NEVER SERVED"})
"""The states of a pipeline that is as it was meant to be."""

COLOURS: Final = {"OK": "green", "DEGRADED": "yellow", "CRITICAL": "red"}


def status_lines(folder: Path, found: dict[str, Any]) -> list[Text]:
    """The status in words."""
    killed = [line("  ", ("killed", "red"), f"    {latch}") for latch in found["latches"]]
    if found.get("damage"):
        killed.insert(0, line("  ", ("journal", "red"), f"   {found['damage']}"))
    killed = [
        line("  ", (part, "red"), f"{' ' * max(2, 10 - len(part))}{what}")
        for part, what in found.get("damaged", {}).items()
        if part != "latches"
    ] + killed
    if "counts" not in found:
        what = found["reason"] if found["serving"] else "nothing has been served from this state folder yet"
        return [line((str(folder), "bold"), f"  {found['state'].lower()}  {what}"), *killed]
    counts, signals = found["counts"], found["signals"]
    colour = "red" if found["state"] not in WELL else "green" if found["serving"] else "yellow"
    who = f"process {found['pid']}" if found["serving"] else found["reason"]
    if found["serving"] and found["reason"]:
        who = f"{who}: {found['reason']}"
    models = ", ".join(model_text(model, serving=found["serving"]) for model in found["models"])
    vetoes = ", ".join(f"{code} {number:,}" for code, number in sorted(found["codes"].items()))
    last = found["last_signal"]
    out = [
        line((found["pipeline"], "bold"), "  ", (found["state"].lower(), colour), f"  {who}"),
        *health_lines(found),
        line(f"  models    {models}"),
        line(f"  source    {source(found['source'])}"),
        line(
            f"  events    {counts['input']:,} = {counts['accepted']:,} accepted + {counts['duplicate']:,} duplicate + "
            f"{counts['late']:,} late + {counts['rejected']:,} rejected"
            + (f" + {counts['conflated']:,} conflated" if counts.get("conflated") else "")
            + f"   gaps {counts['gaps']:,}"
        ),
        *(
            [
                line(
                    f"  amended   {counts['amended']:,} late events took their place, {counts['amendments']:,} vectors changed"
                )
            ]
            if counts.get("amended")
            else []
        ),
        line(f"  vectors   {found['vectors']:,}"),
        line(
            f"  signals   {signals.get('PASS', 0):,} passed, {sum(signals.values()) - signals.get('PASS', 0):,} vetoed"
            + (f"   {vetoes}" if vetoes else "")
        ),
    ]
    if last:
        age = ago(last["age_ns"] + found["status_age_ns"])
        out.append(line(f"  last      {last['signal_id'][:8]} at {utc(last['ts_recv'])}, {age} ago"))
    if found["journal"]["not_reproduced"]:
        skipped = f"{found['journal']['not_reproduced']:,} recorded signals after a restart"
        out.append(line("  ", ("not made again", "red"), f"  {skipped}"))
    out += [
        line(
            "  ", ("model", "red"),
            f"     {model['ref']}: {model['last_error']} The next try is in {ago(model['retry_in_ns'])}.",
        )
        for model in found["models"]
        if found["serving"] and model.get("retry_in_ns") is not None
    ]  # fmt: skip
    out += [
        line("  ", ("model", "yellow"), f"     {unasked(model)}") for model in found["models"] if model.get("unasked")
    ]
    out += [sink_line(each) for each in found.get("sinks", ())]
    if (gateway := found.get("gateway")) and found["serving"]:
        out.append(gateway_line(gateway))
    out += [
        line("  ", ("registry", "red"), f"  {model['registry']}") for model in found["models"] if model.get("registry")
    ]
    for each in found.get("observers", ()):
        text = f"  observer  {each['name']}: {each['shown']:,} decisions shown"
        lost = ", ".join(f"{each[what]:,} {what}" for what in ("dropped", "failed") if each[what])
        why = f" ({each['last_error']})" if each["last_error"] else ""
        out.append(line(text, (f", {lost}{why}", "yellow")) if lost else line(text))
    return out + killed


def health_lines(found: dict[str, Any]) -> list[Text]:
    """The judgement of a pipeline that is served, for how long, how old its data is, and which of its parts is not well."""
    health = found.get("health")
    if not found["serving"] or health is None or health["uptime_ns"] is None:
        return []
    parts = [f"up for {ago(health['uptime_ns'])}"]
    parts += [
        f"{name}: {each['class'].lower()}, {ago(each['age_ns'])} old"
        for name, each in health["ages"].items()
        if name == "source" or each["class"] != "FRESH"
    ]
    out = [line("  health    ", (health["overall"], COLOURS[health["overall"]]), f"  {', '.join(parts)}")]
    shown = ("sinks", *(f"model {model['ref']}" for model in found["models"]))
    out += [
        line("  ", (each["name"], "red"), f"{' ' * max(2, 10 - len(each['name']))}{each['reason']}")
        for each in found.get("components", ())
        if each["state"] == "DEGRADED" and each["name"] not in shown  # those have lines of their own
    ]
    late = [each for each in found.get("tasks", ()) if each["overruns"]]
    if late:
        said = ", ".join(
            f"{each['task']} {each['overruns']:,} (up to {each['longest_ns'] / 1e6:.0f} ms)" for each in late
        )
        out.append(line(f"  overdue   {said}"))
    return out


def model_text(model: dict[str, Any], *, serving: bool) -> str:
    """A model's name with what is not usual about it: no live version, or another kind than ONNX.

    >>> model_text({"ref": "m@1", "stage": "shadow", "kind": "python", "state": "READY"}, serving=True)
    'm@1 (ready, shadow, python)'
    """
    stage, kind = model.get("stage"), model.get("kind", "onnx")
    said = [model["state"].lower()] if serving else []
    said += [stage] if stage not in (None, "live") else []
    said += [kind] if kind != "onnx" else []
    return f"{model['ref']} ({', '.join(said)})" if said else model["ref"]


def unasked(model: dict[str, Any]) -> str:
    """Instruments with vectors for which a model has no signals.

    >>> unasked({"ref": "m@1", "instruments": ["AAPL"], "unasked": {"AAPL-PERP": 7}})
    'm@1 has no signals for AAPL-PERP (7 vectors): it is for AAPL; [[model]] instruments = [...] widens that'
    """
    names = [f"{name} ({number:,} vectors)" for name, number in model["unasked"].items()]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    meant = ", ".join(model["instruments"][:3]) + (", …" if len(model["instruments"]) > 3 else "")
    return (
        f"{model['ref']} has no signals for {', '.join(names[:3])}{more}: it is for {meant}; [[model]] instruments = [...] "
        "widens that"
    )


def source(stats: dict[str, Any]) -> str:
    """A source's name, by which clock it is judged, and what waits in its queue."""
    parts = [stats["url"] or "a source without a URL"]
    if stats["queue_rows_max"]:
        age_ns = stats.get("queue_age_ns", 0)
        oldest = f", the oldest for {age_ns / 1e9:.1f} s" if age_ns >= 1e8 else ""
        parts.append(f"queue {stats['queue_rows']:,} of {stats['queue_rows_max']:,} rows{oldest}")
    if stats.get("clock") == "recorded":
        parts.insert(1, "a recording, old by its own clock")
    delay = stats.get("venue_delay_ns", {})
    if delay.get("p50") is not None:
        ahead = delay["least"] < 0
        clocks = f", whose clock is ahead of ours by {-delay['least'] / 1e6:.1f} ms or more" if ahead else ""
        parts.append(f"{delay['p50'] / 1e6:.1f} ms from the venue{clocks}")
    if stats["shed_messages"]:
        parts.append(f"{stats['shed_messages']:,} messages shed")
    if stats["ended"]:
        parts.append("at its end")
    if stats.get("stopped"):
        parts.append("stopped before its end")
    return ", ".join(parts)


def gateway_line(stats: dict[str, Any]) -> Text:
    """What the pipeline shows to others, at which address."""
    if stats["state"] == "DEGRADED":
        return line("  ", ("gateway", "red"), f"   degraded: {stats['error']}. It is tried again.")
    if stats["state"] == "WAITING":
        return line(f"  gateway   process {stats['waits_for']} serves it")
    places = ", ".join(f"{each['name']} at {each['listen']}" for each in stats["servers"])
    return line(f"  gateway   {places or stats['state'].lower()}")


def sink_line(stats: dict[str, Any]) -> Text:
    """How one sink is: its name, how far it is behind the journal, and what went wrong."""
    behind = f"{stats['lag_records']:,} records behind"
    if stats["lag_records"]:
        behind += f", the oldest for {ago(stats['lag_ns'])}"
    if stats["skipped"]:
        behind += f", {stats['skipped']:,} signals left out"
    if stats["state"] != "DEGRADED":
        return line(f"  sink      {stats['sink']}  {stats['state'].lower()}, {behind}")
    retry = "" if stats["retry_in_ns"] is None else f" The next try is in {ago(stats['retry_in_ns'])}."
    return line("  ", ("sink", "red"), f"      {stats['sink']}  degraded, {behind}: {stats['error']}{retry}")
