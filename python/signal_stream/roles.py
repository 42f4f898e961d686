"""What the parts of a pipeline have to be: `Source`, `Model`, `Guard`, `Sink`, `Observer`.

Each is a small protocol; a class has a role by its methods, without inheriting. A deployment names a part by its URL's
scheme or by `kind`; `signal_stream.parts` says how a package adds one, `signal_stream.testing` has a `check_*` for each
role that a part of one's own should pass.

Times are nanoseconds UTC. Every method may raise an error of `signal_stream.errors`; what it does where another exception comes
out stands with each role.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from signal_stream import _core
    from signal_stream.records import (
        Decision,
        Finding,
        Inputs,
        JournalRecord,
        ModelRow,
        Prediction,
        SkippedRange,
        VectorRow,
    )


class Source(Protocol):
    """Where events come from, in order of arrival. Made without opening anything; one thread uses it, but `stop` may come from
    a signal handler of that thread. An exception ends the pipeline and latches it."""

    name: str
    """Of its tape: part of every signal's id."""
    live: bool
    """Whether events come as they happen, so that silence is news."""
    rate: float
    """Nanoseconds of event time in one of ours: 1 live and at recorded pace, infinity where events come as fast as taken."""
    tape: Path | None
    """The file itself where it can be read again and gives the same messages; None where the pipeline has to write down what
    came."""

    def open(self, position: bytes | None) -> None:
        """Begins behind a position of this source, at the beginning for None."""

    @property
    def position(self) -> bytes:
        """Where the source stands, behind the last batch that it gave. Opaque to all but the source; kept with the events, so
        that a restart goes on where the log ends. Empty where nothing can be gone on with."""

    def next(self, wait_ns: int) -> _core.EventBatch | None:
        """The next whole messages, waiting for them so long at most; None if none came in time or ever will."""

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""

    def stop(self) -> None:
        """Reads no further; what was read is still given, then the source has ended."""

    def stats(self) -> dict[str, Any]:
        """What it has done, for the status: `url`, `messages`, `refused` (counts by reason) and whatever else helps."""

    def close(self) -> None:
        """Gives everything back. May be called twice."""


class OffsetSource(Source, Protocol):
    """A source whose positions are offsets that somebody else may keep as well: see `CommittingSink`."""

    def inputs_at(self, position: bytes, snapshot: str, /) -> Inputs | None:
        """A position as offsets, beside the name of a snapshot; None where they are not to be kept by others."""


class MergeableSource(Source, Protocol):
    """A source of one's own that can be one of several feeds: `[source] kind = "merged"`. It is then asked on a thread of its
    own."""

    rereads: bool
    """Of the class. True: the same messages follow a position each time, cut as they may be, so that each is used once
    whatever dies. False: what was given and not used yet when the process died does not come again, as with a connection."""


class AnsweringSource(Source, Protocol):
    """A source that can do something about messages that are wrong: subscribe again, or fetch a snapshot."""

    def notice(self, instrument: str, kind: str, ts_recv: int) -> None:
        """Is told of a `BOOK_GAP` (messages are missing) or a `CHECKSUM_MISMATCH` (a book is not the venue's) of an instrument,
        shown by the message received at `ts_recv` ns. On the pipeline's thread: it must not wait."""


class Model(Protocol):
    """Predicts, each row by its deadline whatever happens. Made ready to answer; one thread asks. A prediction that did not
    come says why in its `status`; what `submit` or `collect` raise is a MODEL_ERROR, and the pipeline goes on."""

    dtype: str
    """Of the numbers in a row: "f32" or "f64"."""

    def predict(self, rows: Sequence[ModelRow], deadline_ns: int) -> Sequence[Prediction]:
        """One prediction a row, in their order, all of them by `deadline_ns` of `time.monotonic_ns()`. Raises ValueError
        for a row of another length, and after `close`."""

    def submit(self, rows: Sequence[ModelRow], deadline_ns: int) -> None:
        """Asks without waiting: several models are asked first and then collected, so that they work at once."""

    def collect(self) -> Sequence[Prediction]:
        """The predictions for the rows submitted last, by their deadline; together with `submit` it is `predict`."""

    def stats(self) -> dict[str, Any]:
        """What it has done, for the status: `state` (READY while it answers, else DEGRADED, DOWN or FAILED), `last_error`
        and whatever else helps."""

    def close(self) -> None:
        """Gives everything back. May be called twice."""


class StatefulModel(Model, Protocol):
    """A model whose answers depend on the rows before. It is asked for every complete vector of its instruments, in their
    order, also while it is killed. Its state is part of each checkpoint, and a replay begins from one."""

    def snapshot(self) -> bytes:
        """The state behind the last row that was submitted."""

    def restore(self, snapshot: bytes, /) -> None:
        """Takes over what `snapshot` gave; empty: the state before the first row."""


class Guard(Protocol):
    """May object to a signal. Called on the pipeline's thread after the four built-in guards, for one model; what `check`
    raises is a veto GUARD_ERROR. `check` may not change what `snapshot` gives: state moves in `observe`."""

    def check(self, prediction: Prediction | None, vector: VectorRow, now: int, /) -> Finding | None:
        """The objection to this vector at axis time `now`, None if there is none. `prediction` is None where the model was not
        asked."""


class StatefulGuard(Guard, Protocol):
    """A guard that remembers. Its state is part of each checkpoint, and a replay makes it again."""

    def observe(self, decision: Decision, /) -> None:
        """A decision was made: the state may move."""

    def snapshot(self) -> bytes:
        """The state."""

    def restore(self, snapshot: bytes, /) -> None:
        """Takes over what `snapshot` gave."""


class Sink(Protocol):
    """Takes signals that are in the journal already, in its order, on a thread of its own. An exception is a fault of the
    place that it writes to: the sink is closed, opened again after a while and resumes; the pipeline goes on."""

    def open(self, last_id: str | None) -> str | None:
        """Begins, also after `close`. `last_id` is the signal up to which it was sent before, as far as the pipeline knows; the
        answer is the id of the last signal that the place holds, "" if it holds none, None if it cannot tell. What
        follows that one is sent."""

    def send(self, records: Sequence[JournalRecord]) -> None:
        """Adds signals (amendments, where its settings say so): `key` is the id, `body` the JSON. They are there when it returns,
        all of them, or it raises. SinkError REFUSED says that the signal whose id is its `value` will not be taken,
        whatever the state of the place."""

    def close(self) -> None:
        """Gives everything back. May be called twice."""


class DurableSink(Sink, Protocol):
    """A sink whose place outlives a power cut. It is opened by the thread that starts the pipeline: `open` must not wait long."""

    def tail(self) -> Sequence[str]:
        """The JSON of the newest signals that the place holds, oldest first; asked after `open`, before the first `send`. After
        a power cut it may hold signals that the journal lost: they are put back there as they were sent."""

    def sync(self) -> None:
        """Forces what was sent to where it stays: asked about once a second."""


class MarkingSink(Sink, Protocol):
    """A sink that can carry a remark beside signals."""

    def skipped(self, mark: SkippedRange) -> None:
        """The signals of `mark` will not come, since `when_lagging = "skip"`; the journal says the same. Between two `send`."""


class CommittingSink(Sink, Protocol):
    """A sink that can commit what signals rest on together with them."""

    def rests_on(self, inputs: Inputs) -> None:
        """What the signals of the next `send` rest on. Not called where nobody knows it."""


class Observer(Protocol):
    """Is shown every decision after the fact, on a thread of its own. What it raises is counted and shown in the status; what
    it cannot take in time is dropped and counted."""

    def observe(self, decision: Decision, /) -> None:
        """A decision was made and its signal is in the journal."""

    def close(self) -> None:
        """Gives everything back. May be called twice."""
