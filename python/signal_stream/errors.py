"""Every error that signal-stream raises on purpose: a closed tree with stable codes.

An error says what is wrong, where, with which value, and what to do next. `str()` of it is what the user reads:
one plain line, or two where the advice is long. Scripts test `code`, which never changes; texts may.

>>> error = SettingsError("UNKNOWN_KEY", '[source] unknown key "latenes"', where="deployment.toml:9",
...                       next_step=did_you_mean("latenes", ["late", "lateness"]))
>>> print(error)
deployment.toml:9  [source] unknown key "latenes". Did you mean "lateness"?
>>> error.code, error.exit_code
('UNKNOWN_KEY', 2)
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LINE_MAX = 200
_FILE_AND_LINE = re.compile(r":\d+$")


class SignalStreamError(Exception):
    """The root of the tree; raised only as one of its leaves.

    `code` is one of the leaf's `codes`, `where` a file and line, an instrument, a feature or an offset, `value` what
    was seen, `next_step` a sentence on what to do. `exit_code` is what the command line ends with.
    """

    codes: ClassVar[Mapping[str, str]] = {}
    exit_code: ClassVar[int] = 2

    def __init__(self, code: str, message: str, *, where: str = "", value: object = None, next_step: str = "") -> None:
        if code not in self.codes:
            raise AssertionError(f"{type(self).__name__} has no code {code!r}: {sorted(self.codes)}")
        super().__init__(message)
        self.code = code
        self.message = message.rstrip(".")
        self.where = where
        self.value = value
        self.next_step = next_step

    def __str__(self) -> str:
        message = " ".join(self.message.split())
        if not self.where:
            line = message
        elif _FILE_AND_LINE.search(self.where):
            line = f"{self.where}  {message}"
        else:
            line = f"{self.where}: {message}"
        if not self.next_step:
            return line if line.endswith("?") else f"{line}."
        advice = " ".join(self.next_step.split())
        between = " " if len(line) + len(advice) < _LINE_MAX else "\n    "
        return f"{line}.{between}{advice}"

    @property
    def one_line(self) -> str:
        """What `str()` says, on one line however long: for a status, or a place within a line."""
        return str(self).replace("\n    ", " ")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.code, self.message, self.where, self.value, self.next_step)


def _rebuilt(
    kind: type[SignalStreamError], code: str, message: str, where: str, value: object, next_step: str
) -> SignalStreamError:
    return kind(code, message, where=where, value=value, next_step=next_step)


class GraphError(SignalStreamError):
    """A feature graph that cannot be built, read or compiled."""

    codes: ClassVar[Mapping[str, str]] = {
        "NOT_FOUND": "the file, or the graph named in it, does not exist",
        "UNREADABLE": "the graph's file or JSON cannot be read",
        "UNKNOWN_OPERATOR": "no operator, column or measure has this name",
        "UNKNOWN_KEY": "no argument has this name",
        "BAD_ARGUMENT": "an argument has a value that is not allowed",
        "DOMAIN": "expressions are joined in a way that has no meaning",
        "UNBOUNDED": "an operator's memory has no bound",
        "TOO_LARGE": "the graph's state would exceed its bound",
        "DIGEST": "the graph is not the one that was expected",
    }


class TapeError(SignalStreamError):
    """A tape or capture that cannot be read, written or trusted."""

    codes: ClassVar[Mapping[str, str]] = {
        "NOT_FOUND": "the file does not exist",
        "UNREADABLE": "the file cannot be read",
        "UNKNOWN_FORMAT": "the content is no tape and no capture that is known",
        "TRUNCATED": "the file ends too early",
        "DAMAGED": "bytes of the file are not as they were written",
        "SCHEMA": "the columns are not a tape's",
        "REJECTED": "more lines are broken than allowed",
        "LATE": "an event came late and the policy is to refuse",
        "QUEUE_FULL": "the queue is full and the policy is to halt",
        "WRITE": "the tape cannot be written",
        "LOCKED": "another process writes this log",
    }


class DataError(SignalStreamError):
    """A table that does not fit its graph, or cannot be written."""

    codes: ClassVar[Mapping[str, str]] = {
        "UNKNOWN_TYPE": "the object is no Arrow table, tape or capture",
        "MISSING_COLUMN": "a column that the graph needs is not there",
        "WRONG_TYPE": "a column has another type",
        "OUT_OF_ORDER": "times go backwards",
        "BAD_VALUE": "a value is not allowed",
        "REJECTED": "more rows are refused than allowed",
        "WRITE": "the table cannot be written",
    }


class EngineError(SignalStreamError):
    """The engine refuses to go on."""

    codes: ClassVar[Mapping[str, str]] = {
        "SNAPSHOT": "a snapshot is damaged or of another graph",
        "OUT_OF_ORDER": "events were pushed in a wrong order",
        "BAD_INPUT": "what was pushed cannot be computed on",
        "PANIC": "a defect in the engine; its pipeline has to stop",
        "NO_RUNTIME": "what WASM modules are made of was not built",
    }


class SettingsError(SignalStreamError):
    """A deployment file that cannot be used."""

    codes: ClassVar[Mapping[str, str]] = {
        "NOT_FOUND": "there is no such file",
        "UNREADABLE": "the file cannot be read",
        "SYNTAX": "the file is not TOML",
        "UNKNOWN_KEY": "no setting has this name",
        "MISSING_KEY": "a setting without a default is missing",
        "BAD_VALUE": "a setting has a value that is not allowed",
        "UNKNOWN_PART": "no source, sink, guard or observer has this name",
        "PART": "a part of an installed package cannot be loaded or made",
    }


class ManifestError(SignalStreamError):
    """A model's manifest that is not well formed."""

    codes: ClassVar[Mapping[str, str]] = {
        "UNREADABLE": "the manifest is not JSON, or not an object",
        "MISSING_KEY": "a field is missing",
        "BAD_VALUE": "a field has a value that is not allowed",
    }


class RegistryError(SignalStreamError):
    """The registry cannot answer, or what it holds was changed."""

    codes: ClassVar[Mapping[str, str]] = {
        "NOT_FOUND": "there is no registry, name, version or stage like this",
        "UNREADABLE": "the registry's database cannot be read",
        "BAD_REF": "the reference is not name@version, name@stage or name@latest",
        "DIGEST": "a stored file is not the one that was registered",
        "CONFLICT": "a version with other content exists",
        "STAGE": "the stage cannot be given, or does not allow this",
        "AUDIT": "a stage is not the one of its history",
        "ANONYMOUS": "a change needs a name",
        "WRITE": "the registry cannot be written",
    }


class ModelError(SignalStreamError):
    """A model that does not fit its graph or manifest, or cannot be run."""

    codes: ClassVar[Mapping[str, str]] = {
        "UNREADABLE": "the model's file cannot be read",
        "COLUMNS": "the model expects other columns",
        "DTYPE": "the model expects another number type",
        "OUTPUT": "the declared output does not exist or has another shape",
        "ROWS": "the rows to compare with are no complete rows of numbers",
        "GOLDEN": "the model does not give its golden outputs",
        "KIND": "this kind of model cannot be placed like this",
        "CONVERT": "the fitted model cannot be written as ONNX",
        "WRITE": "the model's file cannot be written",
        "WORKER": "the model's worker cannot be started or kept",
        "REQUIREMENT": "something that a Python model needs is not installed",
        "PYTHON": "the module of a Python model fails, or holds no model",
        "STATE": "the state of a model cannot be had, or be restored",
    }


class GateError(SignalStreamError):
    """Something other than the Gate tried to make, change or send a signal."""

    codes: ClassVar[Mapping[str, str]] = {
        "GATE_ONLY": "only the Gate makes a signal",
        "FORGED": "the object is no signal that the Gate made, or was changed since",
        "VERDICT": "the verdict is not the one that this Gate gave last",
        "GUARDS": "the Gate's guards are not well formed",
        "SNAPSHOT": "the bytes are no snapshot of a Gate",
    }


class LatchError(SignalStreamError):
    """The kill switch cannot be moved."""

    codes: ClassVar[Mapping[str, str]] = {
        "ANONYMOUS": "a kill or re-arm needs a name and a reason",
        "NOT_KILLED": "there is nothing to re-arm",
        "NOT_SERVED": "no model of this name is served from this state folder",
        "UNREADABLE": "the latches cannot be read; everything counts as killed",
        "WRITE": "the latch cannot be written",
    }


class JournalError(SignalStreamError):
    """The journal cannot be read or written. The pipeline halts on it."""

    codes: ClassVar[Mapping[str, str]] = {
        "NOT_FOUND": "there is no journal here, or no such record in it",
        "LOCKED": "another process writes this journal",
        "DISK_FULL": "no space is left; the record was not written",
        "WRITE": "the record was not written",
        "SYNC": "what was written may not be on the disk",
        "DAMAGED": "bytes in the middle of the journal are not as written",
        "LOST": "records that were on the disk are gone from the journal",
        "DIFFERS": "what is made again after a restart is not what the journal holds",
        "TOO_LARGE": "the record is beyond the bounds",
        "KIND": "no record is of this kind",
        "CLOSED": "the journal is closed",
    }


class StateError(SignalStreamError):
    """A pipeline's state folder that cannot be used."""

    codes: ClassVar[Mapping[str, str]] = {
        "NOT_FOUND": "there is no such folder, or its pipeline has never been served",
        "LOCKED": "another process uses it",
        "OTHER_RUN": "it was written for another tape, or with another lateness",
        "DAMAGED": "the status or a snapshot in it is not as it was written",
    }


class SinkError(SignalStreamError):
    """A sink cannot take signals."""

    codes: ClassVar[Mapping[str, str]] = {
        "UNKNOWN_URL": "no sink is behind this URL",
        "LOCKED": "another process writes to this place",
        "DISK_FULL": "no space is left; the signals were not written",
        "WRITE": "the signals were not written",
        "DAMAGED": "the file's content is not a sink's",
        "FOREIGN": "the file holds signals that this journal does not know",
        "CHANGED": "somebody else wrote to the place meanwhile",
        "REFUSED": "the place does not take one signal",
        "LAGGING": "signals have waited for it longer than lag_max",
        "NO_CLIENT": "the client library of this sink is not installed",
    }


class ComponentError(SignalStreamError):
    """A component that cannot be started or kept, or whose needs cannot be met."""

    codes: ClassVar[Mapping[str, str]] = {
        "DUPLICATE": "two components have one name",
        "UNKNOWN_NEED": "a component needs one that does not exist",
        "CYCLE": "components need each other, so that none can start",
        "TIMEOUT": "it was not ready in time",
        "DIED": "it ended by itself",
        "NO_PROGRAM": "the program that it runs is not installed",
    }


class GatewayError(SignalStreamError):
    """A pipeline cannot be served to other programs."""

    codes: ClassVar[Mapping[str, str]] = {
        "ADDRESS": "the address to listen at cannot be had",
        "CERTIFICATE": "a certificate or key cannot be read, or they do not belong together",
        "REQUEST": "what was asked for cannot be answered as it was asked",
        "PLACE": "the journal does not hold the record that was asked for; the value is one that it can go on from",
    }


class RemoteError(SignalStreamError):
    """A pipeline that was asked over the network did not answer, or refused."""

    codes: ClassVar[Mapping[str, str]] = {
        "UNREACHABLE": "nobody answers at the address, or the connection broke",
        "REFUSED": "the caller's certificate does not allow this, is missing, or has expired",
        "REQUEST": "the request cannot be answered as it was asked",
        "NOT_FOUND": "the journal has no such signal, or not any more",
        "CUT_OFF": "the caller did not read, or there are too many callers; the value is where to go on",
        "FAILED": "the pipeline's side failed; its text says how",
        "NO_PACKAGE": "a package that this needs is not installed",
    }


class ReplayError(SignalStreamError):
    """A replay or parity run could not be made; a difference is no error, but a result."""

    codes: ClassVar[Mapping[str, str]] = {
        "NOT_FOUND": "no signal has this id",
        "TAPE": "the tape of the signal is missing or another one",
        "MODEL": "the model of the signal is missing or another one",
        "GUARD": "a guard that judged the signal is missing or another one",
    }


class CommandError(SignalStreamError):
    """A command that cannot be run as it was typed."""

    codes: ClassVar[Mapping[str, str]] = {
        "BAD_OPTION": "an option has a value that is not allowed, or does not go with another",
        "NO_PROGRAM": "a program that the command calls is not installed, or fails",
        "NO_PACKAGE": "an optional package that the command needs is not installed",
        "WRITE": "the output file cannot be written",
        "STEP": "a step of the demo failed, or its outcome is not what it must be",
    }


class ErrorCode(NamedTuple):
    """One row of the closed set: `SettingsError`, `UNKNOWN_KEY`, what it means."""

    error: str
    code: str
    meaning: str


def list_all_errors() -> Iterator[ErrorCode]:
    """The closed set, in the order of this file.

    >>> next(iter(list_all_errors())).code
    'NOT_FOUND'
    """
    for kind in SignalStreamError.__subclasses__():
        if kind.__module__ == __name__:
            for code, meaning in kind.codes.items():
                yield ErrorCode(kind.__name__, code, meaning)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be; None if none is near.

    >>> nearest("stdev", ["std", "mean"])
    'std'
    >>> nearest("xyz", ["std", "mean"]) is None
    True
    """
    by_folded = {each.lower(): each for each in known}
    found = difflib.get_close_matches(name.lower(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The advice for an unknown name: the nearest one, else all of them.

    >>> did_you_mean("latenes", ["late", "lateness"])
    'Did you mean "lateness"?'
    >>> did_you_mean("xyz", ["std", "mean"])
    'Known are: mean, std.'
    """
    names = sorted(known)
    found = nearest(name, names)
    if found is not None:
        return f'Did you mean "{found}"?'
    return f"Known are: {', '.join(names)}." if names else ""
