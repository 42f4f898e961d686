"""The one status of a stack: written by the process that runs it, read by whoever looks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from signal_stream.durations import ago
from signal_stream.errors import StateError
from signal_stream.records import FORMAT
from signal_stream.store.lock import serving_pid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from signal_stream.monitor.health import Overall

_OVERDUE_NS: Final = 10_000_000_000
_FILE: Final = "status.json"


def write_status(folder: Path, document: Mapping[str, Any]) -> None:
    """Replaces the stack's status file at once. Raises OSError."""
    unfinished = folder / "status.unfinished"
    unfinished.write_text(json.dumps({"format": FORMAT} | dict(document), indent=1) + "\n", encoding="utf-8")
    unfinished.replace(folder / _FILE)


def read_status(folder: Path, *, now: int) -> dict[str, Any]:
    """The status of a stack's folder, with what is true at `now` (ns since 1970 UTC): `running`, `overall`, `reasons`. Raises
    StateError where it cannot be read."""
    path = folder / _FILE
    pid = serving_pid(folder)
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        parts, written_at = list(found["parts"]), int(found["written_at"])
        overall, reasons = judge_parts(parts)
    except FileNotFoundError:
        reason = "it starts" if pid is not None else "it has never been run"
        return {"running": pid is not None, "pid": pid, "parts": [], "overall": "CRITICAL", "reasons": [reason]}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise StateError("DAMAGED", f"the stack's status cannot be read: {error}", where=str(path)) from error
    age_ns = max(0, now - written_at)
    if pid is None:
        was_stopped = all(each["state"] == "STOPPED" for each in parts)
        overall, reasons = (
            "CRITICAL",
            ["it does not run: it was stopped" if was_stopped else "it does not run: it was killed"],
        )
    elif age_ns > _OVERDUE_NS:
        overall, reasons = "CRITICAL", [f"it has not written its status for {ago(age_ns)}", *reasons]
    return found | {
        "running": pid is not None,
        "pid": pid,
        "overall": overall,
        "reasons": reasons,
        "status_age_ns": age_ns,
    }


def judge_parts(parts: Sequence[Mapping[str, Any]]) -> tuple[Overall, list[str]]:
    """How a stack is whose parts are like this: CRITICAL where a deployment fails or is CRITICAL itself, DEGRADED where
    anything else is not as it should be."""
    overall: Overall = "OK"
    reasons: list[str] = []
    for each in parts:
        if each["state"] in ("READY", "DONE"):
            continue
        reasons.append(f"{each['name']}: {each['state'].lower()}{': ' if each['reason'] else ''}{each['reason']}")
        judged = (each.get("health") or {}).get("overall")
        is_critical = each["kind"] == "deployment" and (each["state"] == "FAILED" or judged == "CRITICAL")
        overall = "CRITICAL" if is_critical or overall == "CRITICAL" else "DEGRADED"
    return overall, reasons
