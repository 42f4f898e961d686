"""Killing a model, or all, and letting them speak again: one way, for whoever asks, on a command line or over the network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from signal_stream.errors import JournalError, LatchError, did_you_mean

if TYPE_CHECKING:
    from signal_stream.records import JournalRecord

    from .latch import Latch
    from .latches import Latches
    from .reader import JournalReader
    from .state import State


@dataclass(frozen=True, slots=True)
class Silencing:
    """What a kill or re-arm did. `latch` is the line that was written, None where there was nothing to lift; `lines` say it in
    words; `standing` are the kills in force now."""

    latch: Latch | None
    lines: tuple[str, ...]
    standing: tuple[str, ...]


def kill(place: State, model: str | None, *, by: str, reason: str, now: int) -> Silencing:
    """Silences a model, by its name or `name@version`, or all (None), from the next signal on.

    When it returns, the kill is on the disk. Raises LatchError: NOT_SERVED for a model that is not served from this state
    folder, ANONYMOUS without a name or a reason, WRITE where it could not be written, with what is killed instead.
    """
    scope = None if model is None else _served(place, model)
    latches = place.latches()
    before = _standing(latches, scope)
    latch = latches.kill(scope, by=by, reason=reason, now=now)
    name = "Everything" if scope is None else scope
    lines = [f"{name} was killed already: {before}. Noted again." if before else str(latch)]
    if scope is not None and (everything := _standing(latches, None)):
        lines.append(f"Everything is killed: {everything}")
    return Silencing(latch, tuple(lines), _all_standing(latches))


def rearm(place: State, model: str | None, *, by: str, reason: str, now: int) -> Silencing:
    """Lifts the kill of a model, or that of all (None), which leaves models that were killed by name as they are.

    Nothing to lift is no error. Raises LatchError as `kill` does, and UNREADABLE where nobody can tell what is killed.
    """
    scope = None if model is None else _served(place, model)
    latches = place.latches()
    latch = None
    try:
        latch = latches.rearm(scope, by=by, reason=reason, now=now)
        text = str(latch)
    except LatchError as error:
        if error.code != "NOT_KILLED" or latches.killed(scope or "") is not None:
            raise
        text = f"{'Nothing is killed as a whole' if scope is None else f'{scope} is not killed'}: nothing to do."
    return Silencing(latch, (text,), tuple(str(each) for each in latches.standing()))


def served_models(journal: JournalReader) -> list[str]:
    """Names of the models that the newest process serves, or served; empty if there was none. Raises JournalError."""
    opened = journal.last("open")
    return [] if opened is None else models_of(opened)


def models_of(opened: JournalRecord) -> list[str]:
    """Names of the models that an `open` record says were served. Raises JournalError."""
    try:
        return [model["name"] for model in json.loads(opened.body)["models"]]
    except (ValueError, KeyError, TypeError) as error:
        raise JournalError("DAMAGED", f"a run record cannot be read: {error}", value=opened.body[:200]) from error


def _served(place: State, model: str) -> str:
    """The model's name. Raises LatchError if it is known not to be served."""
    name = model.partition("@")[0]
    try:
        known = served_models(place.reader()) or [name]
    except JournalError:
        return name  # an emergency: the name is taken as it is
    if name not in known:
        message = f'no model "{name}" is served from this state folder; nothing was changed'
        advice = did_you_mean(name, known)
        raise LatchError("NOT_SERVED", message, where=str(place.folder), value=name, next_step=advice)
    return name


def _standing(latches: Latches, scope: str | None) -> str:
    """The kill of this scope that stands; empty if none does, or nobody can tell."""
    wanted = "all" if scope is None else f"model:{scope}"
    try:
        return next((str(latch) for latch in latches.standing() if latch.scope == wanted), "")
    except LatchError:
        return ""


def _all_standing(latches: Latches) -> tuple[str, ...]:
    try:
        return tuple(str(latch) for latch in latches.standing())
    except LatchError as error:
        return (error.one_line,)
