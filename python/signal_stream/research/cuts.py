"""Messages behind which the future is cut off or changed, and the trials that show whether that reached a vector before them.

An engine can only know what it was given: what it says before it is given a piece of the input does not depend on that piece. So
a trial need not begin with the input. It begins with the piece in which the future begins, from a copy of the engine that ran up
to there, and is given that piece at once, as far as the cut or with another future in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from signal_stream.research.changed_future import ChangedFuture
from signal_stream.research.runs import Vectors, Way, messages_of, slice_of
from signal_stream.research.table_rows import ROWS

if TYPE_CHECKING:
    import pyarrow as pa

    from signal_stream import _core
    from signal_stream.research.engine import Engine

THERE: Final = "future there"
CUT_OFF: Final = "future cut off"
CHANGED: Final = "future changed"
PIECES: Final = (1_024, ROWS)
"""Messages that a trial is given at once, at least and at most; the run with the future there is given as many as the input has
at once."""
LOOKED_AT: Final = 256
"""Vectors behind a cut of which is looked at whether another future changes them."""


@dataclass(slots=True)
class Cut:
    """A message, and what was known before it: how many vectors, with which digest; then some of those that came next.
    `begin` is where another future begins: the message itself, unless features are to be caught that know so much of it."""

    message: int
    begin: int
    seed: int
    vectors: int = 0
    digest: str = ""
    next: list[pa.RecordBatch] = field(default_factory=list)

    @property
    def looked_at(self) -> int:
        """Vectors behind the cut that are kept."""
        return sum(len(each) for each in self.next)


class Compared:
    """Vectors as they come, compared with what was known at cuts. Before the first of them lie those of the run that it goes on
    from, if it goes on from one: the same count, the same digest."""

    def __init__(self, like: Compared | None = None) -> None:
        self.count: int = 0 if like is None else like.count
        self._sha: hashlib._Hash = hashlib.sha256() if like is None else like._sha.copy()

    @property
    def digest(self) -> str:
        """Of all bits so far."""
        return self._sha.hexdigest()

    def take(self, piece: _core.Vectors, waiting: list[Cut]) -> list[Cut]:
        """Takes vectors in. Cuts that they reach leave `waiting`, which is in order; gives those before which other vectors came
        than were known."""
        odd = []
        while waiting and waiting[0].vectors < self.count + len(piece):
            cut, at = waiting.pop(0), self._sha.copy()
            at.update(piece.bits(max(0, cut.vectors - self.count)))
            if cut.vectors < self.count or at.hexdigest() != cut.digest:
                odd.append(cut)
        self._sha.update(piece.bits())
        self.count += len(piece)
        return odd

    def settle(self, waiting: list[Cut]) -> list[Cut]:
        """No vector before the cuts is to come: gives those before which other vectors came, or fewer."""
        odd = [cut for cut in waiting if self.count != cut.vectors or self.digest != cut.digest]
        waiting.clear()
        return odd


class Trial:
    """Two engines that go on from the piece in which a cut's future begins: one is given nothing behind the cut, one another
    future. `unmoved` are the features that no changed future has reached yet; it loses those that this one reaches."""

    def __init__(self, cut: Cut, engine: Engine, so_far: Compared, first: int, unmoved: set[str]) -> None:
        self.cut, self._unmoved = cut, unmoved
        self._off: Engine | None = engine.copy()
        self._off_seen = Compared(so_far)
        self._changed, self._changed_seen = engine.copy(), Compared(so_far)
        self._future = ChangedFuture.of(cut.seed)
        self._next = first
        self._waiting: list[Cut] | None = None
        self._behind: list[pa.RecordBatch] = []

    @property
    def over(self) -> bool:
        """Whether nothing more can be learnt of it."""
        looked_at = sum(len(each) for each in self._behind)
        return self._next >= self.cut.message and (not self._unmoved or looked_at >= LOOKED_AT)

    def take(self, piece: Any, columns: Mapping[str, str]) -> str | None:
        """The input goes on; what the run that it goes on from made of it is known already. Gives the name of the engine that
        knew what came behind the cut."""
        first, length, cut = self._next, messages_of(piece), self.cut
        self._next += length
        if self._off is not None:
            for vectors in self._off.stream(slice_of(piece, 0, min(length, cut.message - first)), whole=False):
                self._off_seen.take(vectors, [])
            if self._next >= cut.message:
                self._off = None
                if self._off_seen.settle([cut]):
                    return CUT_OFF
        start = max(0, cut.begin - first)
        if start < length:
            piece = self._future.changed(piece, start, columns)
        return CHANGED if self._take_changed(self._changed.stream(piece, whole=False)) else None

    def end(self) -> None:
        """The input has ended."""
        self._take_changed(iter(self._changed.end()))

    def _take_changed(self, vectors: Vectors) -> list[Cut]:
        cut, seen = self.cut, self._changed_seen
        if self._waiting is None and self._next >= cut.message:
            self._waiting = [cut]
        waiting = [] if self._waiting is None else self._waiting
        odd: list[Cut] = []
        for each in vectors:
            if self._waiting is not None and self._unmoved and seen.count + len(each) > cut.vectors:
                self._behind.append(rows_of(each).slice(max(0, cut.vectors - seen.count)))
            odd += seen.take(each, waiting)
        if self._behind and cut.next:
            _strike_out_moved(self._unmoved, cut.next, self._behind)
        return odd + seen.settle(waiting)


def rows_of(piece: _core.Vectors) -> pa.RecordBatch:
    """Vectors as Arrow."""
    import pyarrow as pa

    return pa.record_batch(piece.columns())


def _strike_out_moved(unmoved: set[str], left: list[pa.RecordBatch], right: list[pa.RecordBatch]) -> None:
    import pyarrow as pa

    known, other = pa.Table.from_batches(left), pa.Table.from_batches(right)
    rows = min(len(known), len(other))
    for name in list(unmoved):
        if not known.column(name).slice(0, rows).equals(other.column(name).slice(0, rows)):
            unmoved.discard(name)


class Known:
    """The run that is given the input piece by piece, each up to the next cut: what it has said by then, it knew. Trials go on
    from it, and a run that is given the input as it comes is beside it, with the future there."""

    def __init__(self, cuts: list[Cut], way: Way, unmoved: set[str], piece: int) -> None:
        self.cuts, self._way, self._unmoved, self._piece = cuts, way, unmoved, piece
        self._columns = way.source.options["columns"] or {}
        self._seen, self._there_seen = Compared(), Compared()
        self._past = self._started = self._there_past = 0
        self._trials: list[Trial] = []

    def first_odd(self) -> tuple[str, Cut] | None:
        """Runs to the end of the input, or to the first run and cut where vectors before it are not those that were known."""
        engine, there = (self._way.source.engine(self._way.graph) for _ in range(2))
        done = 0
        for batch in self._way.batches():
            found: tuple[str, Cut] | None = None
            for first, piece in pieces_of(batch, done, self._piece):
                self._start(engine, first, messages_of(piece))
                self._run(engine, piece, first)
                found = found or self._try(piece)
            done += messages_of(batch)
            found = self._with_future_there(there.stream(batch, whole=False)) or found
            for each in (engine, there):
                each.take_amendments()  # nobody asks for them
            if found is not None:
                return found
        self._note(iter(engine.end()))
        for trial in self._trials:
            trial.end()
        return None

    def _start(self, engine: Engine, first: int, length: int) -> None:
        """Trials of the cuts whose future begins in the next piece."""
        while self._started < len(self.cuts) and self.cuts[self._started].begin < first + length:
            cut = self.cuts[self._started]
            self._trials.append(Trial(cut, engine, self._seen, first, self._unmoved))
            self._started += 1

    def _run(self, engine: Engine, piece: Any, first: int) -> None:
        start, length = 0, messages_of(piece)
        while self._past < len(self.cuts) and (cut := self.cuts[self._past]).message <= first + length:
            stop = cut.message - first
            self._note(engine.stream(slice_of(piece, start, stop), whole=False))
            cut.vectors, cut.digest = self._seen.count, self._seen.digest
            start, self._past = stop, self._past + 1
        self._note(engine.stream(slice_of(piece, start, length), whole=False))

    def _note(self, vectors: Vectors) -> None:
        for each in vectors:
            self._seen.take(each, [])
            behind = [cut for cut in self.cuts[: self._past] if cut.looked_at < LOOKED_AT]
            if behind and self._unmoved:
                rows = rows_of(each)
                for cut in behind:
                    cut.next.append(rows.slice(0, LOOKED_AT - cut.looked_at))

    def _try(self, piece: Any) -> tuple[str, Cut] | None:
        for trial in self._trials:
            if (name := trial.take(piece, self._columns)) is not None:
                return name, trial.cut
        self._trials = [trial for trial in self._trials if not trial.over]
        return None

    def _with_future_there(self, vectors: Vectors) -> tuple[str, Cut] | None:
        """The first of the cuts that were passed before which other vectors come than were known."""
        waiting = self.cuts[self._there_past : self._past]
        self._there_past = self._past
        odd: list[Cut] = []
        for each in vectors:
            odd += self._there_seen.take(each, waiting)
        odd += self._there_seen.settle(waiting)
        return (THERE, odd[0]) if odd else None


def piece_length(events: int, cuts: int) -> int:
    """Messages that trials are given at once: all trials together cost about as much as a run or two of the whole input.

    >>> piece_length(40_000, 20), piece_length(300, 20), piece_length(10**9, 20)
    (2000, 1024, 16384)
    """
    least, most = PIECES
    return min(max(events // max(cuts, 1), least), most)


def pieces_of(batch: Any, first: int, most: int) -> Iterator[tuple[int, Any]]:
    """A batch, whose first message has this number, in pieces of so many messages at most, each with its first's number."""
    length = messages_of(batch)
    for start in range(0, length, most):
        yield first + start, slice_of(batch, start, min(start + most, length))
