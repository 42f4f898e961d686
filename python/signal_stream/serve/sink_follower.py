"""One sink: follows the journal from its cursor on, opens its place again where that fails, and says how far behind it is."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from signal_stream.errors import JournalError, SignalStreamError, SinkError
from signal_stream.records import SignalRecord, speaks
from signal_stream.store import JournalFollower, JournalReader

from .left_out import LeftOut
from .sink_cursor import SinkPosition

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from signal_stream.records import JournalRecord
    from signal_stream.roles import CommittingSink, Sink
    from signal_stream.settings import SinkSettings
    from signal_stream.store import Journal

    from .input_places import InputPlaces
    from .left_out import Skip
    from .sink_cursor import SinkCursor

RETRY_NS: Final = 100_000_000
RETRY_NS_MAX: Final = 30_000_000_000
REFUSALS: Final = 5
"""How often one signal is offered to a sink that refuses it before it is called refused."""
BEHIND_NS: Final = 1_000_000_000
"""A sink is catching up while its oldest signal has waited for so long."""
SYNC_NS: Final = 1_000_000_000
PAUSE_NS: Final = 1_000_000
"""Between two pieces: the pipeline's thread comes first, also while a sink catches up."""
REST_NS: Final = 5_000_000
"""Behind the piece that was the last for the moment: what comes meanwhile is sent together. A thread that wakes up for each
signal would take the interpreter from the pipeline's thread each time."""
_HUNG_NS: Final = 5_000_000_000
_STAGE: Final = '"stage": "'


def is_for_sinks(record: JournalRecord) -> bool:
    """Whether a signal goes to sinks: not that of a model in shadow, which stays in the journal. Looks at the text alone:
    quotes within values are escaped."""
    _, found, rest = record.body.partition(_STAGE)
    return speaks(rest.partition('"')[0] if found else None)


class SinkFollower:
    """Reads the journal behind the sink's cursor and sends what it finds, a piece at a time; `step` is one piece of work.

    Whatever the sink raises closes it; it is opened again after a pause that doubles from 0.1 s to 30 s (a quarter of
    `lag_max`, unless it waits for ever), half of it drawn, and what its `open` answers decides where it resumes. A piece that
    failed is halved, so that one signal that cannot be taken does not hold up those before it. That one is offered again and
    again: nothing is left out in silence. Only `when_lagging = "skip"` goes on without it (SinkError REFUSED, five times), or
    without all that has waited longer than `lag_max`, when the journal holds a record of what was left out.

    One thread calls `step`; `stats`, `seq` and `lag_ns` are for others. Invariants: what lies before `seq` was sent, is not for
    sinks, or stands in a `skip` record; the cursor on the disk is never beyond `seq`.
    """

    def __init__(
        self,
        sink: Sink,
        settings: SinkSettings,
        *,
        name: str,
        journal: Journal,
        cursor: SinkCursor,
        draw: random.Random,
        places: InputPlaces | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.seq = 0
        """The oldest record that was not dealt with."""
        self.lag_ns = 0
        """How long the oldest signal has waited: set by who owns the clock."""
        self._sink = sink
        self._journal = journal
        self._cursor = cursor
        self._draw = draw
        self._kind = settings.gets.removesuffix("s")
        self._places = places if self._kind == "signal" and hasattr(sink, "rests_on") else None
        self._reader = JournalFollower(journal, self._kind)
        self._pending: list[JournalRecord] = []
        self._sending: Sequence[JournalRecord] = ()
        self._limit: int | None = None
        self._last_id = ""
        self._is_placed = self._is_open = False
        self._held: str | None = None
        self._began = 0
        self._left_out = LeftOut(name)
        self._retry_ns: int | None = None
        self._sync_ns: int | None = None
        self._called_ns: int | None = None
        self._error: str | None = None
        self._failures = self._refusals = self._sent = 0
        self._begin()

    @property
    def skip(self) -> Skip | None:
        """What the journal has to say before the sink goes on; `skip_is_written` answers."""
        return self._left_out.asked

    @property
    def is_current(self) -> bool:
        """Whether the sink has all that the journal holds."""
        return self.seq >= self._journal.next_seq

    @property
    def is_due(self) -> bool:
        """Whether there is something that a `step` before its time would find: more of the journal, or its answer."""
        if self.skip is not None:
            return self._left_out.is_written
        return not self._pending and self._reader.seq < self._journal.next_seq

    @property
    def is_open(self) -> bool:
        """Whether the sink is open, and it is known what it holds."""
        return self._is_open and self._is_placed

    @property
    def is_failing(self) -> bool:
        """Whether the last attempt failed."""
        return self._retry_ns is not None

    def ahead(self, now: int) -> list[str]:
        """The JSON of signals that the sink's place holds and the journal lost in a power cut; opens a sink that can tell.
        Empty where the journal knows none of what it holds: that is another journal's."""
        tail: Callable[[], Sequence[str]] | None = getattr(self._sink, "tail", None)
        if tail is None or self._kind != "signal":  # amendments are made again as they were
            return []
        try:
            if not self._is_open:
                self._open()
            if not self._held or self._journal.find(self._held) is not None:
                return []
            import json

            texts = list(tail())
            position = {json.loads(text)["signal_id"]: i for i, text in enumerate(texts)}
            known = [position[each.key] for each in self._journal.records(kind="signal") if each.key in position]
            return texts[known[-1] + 1 :] if known else []
        except Exception as error:  # noqa: BLE001  the place's fault, whatever it is: the pipeline starts without it
            self._failed(error, now)
            return []

    def step(self, now: int) -> int | None:
        """One piece of work; when the next is due, None if there is none before the journal grows. Raises nothing."""
        try:
            self._called_ns = now
            return self._work(now)
        except BaseException as error:  # noqa: BLE001  a panic of the sink's own library is no Exception
            return self._failed(error, now)
        finally:
            self._called_ns = None
            self.seq = self._next_seq()

    def try_now(self) -> None:
        """Has the next `step` try again, however long the pause."""
        self._retry_ns = None

    def skip_is_written(self) -> None:
        """The journal holds the `skip` record that was asked for. Any thread."""
        self._left_out.written()

    def stats(self, now: int) -> dict[str, Any]:
        """State, lag and what went wrong, for the status. Any thread."""
        error, retry_ns, called_ns = self._error, self._retry_ns, self._called_ns
        if error is None and called_ns is not None and now - called_ns > _HUNG_NS:
            error = f"it has not answered for {(now - called_ns) / 1e9:.0f} s"
        behind = self.lag_ns > BEHIND_NS
        return {
            "sink": self.name,
            "state": "DEGRADED" if error else "CATCHING UP" if behind else "OK",
            "error": error,
            "retry_in_ns": None if retry_ns is None else max(0, retry_ns - now),
            "began_seq": self._began,
            "lag_records": max(0, self._journal.next_seq - self.seq),
            "lag_ns": self.lag_ns,
            "sent": self._sent,
            "skipped": self._left_out.signals,
            "failures": self._failures,
        }

    def close(self) -> None:
        """Closes sink, reader and cursor. May be called twice."""
        self._close_sink()
        self._reader.close()
        self._cursor.close()

    def check_invariants(self) -> None:
        """Raises AssertionError if the cursor is beyond what was dealt with."""
        position = self._cursor.read()
        assert position is None or position.seq <= self._next_seq(), (
            f"the cursor is at {position}, and {self.seq} is next"
        )

    def _begin(self) -> None:
        position, end = None, self._journal.next_seq
        with suppress(OSError):  # the place itself may know better; where it does not, all is sent again
            position = self._cursor.read()
        if position is None:
            self._began = end if self.settings.begin == "newest" else self._reader.first_seq
            self._reader.seek(self._began)
            self._commit()
        elif position.seq <= end:
            self._last_id, self._began = position.last_id, position.began
            self._reader.seek(position.seq, position.near)
        else:  # a power cut took records that were sent: where they are now, if at all, has to be looked up
            self._began = position.began
            self._reader.seek(end)
            self._commit()
        self.seq = self._next_seq()

    def _next_seq(self) -> int:
        if (skipped := self._left_out.first_seq) is not None:
            return skipped
        return self._pending[0].seq if self._pending else self._reader.resume_seq

    def _work(self, now: int) -> int | None:
        if self.skip is not None:
            if not self._left_out.is_written:
                return None
            self._pass_over()
        if not self._pending:
            self._pending = self._read()
        if self._skips():
            return now + PAUSE_NS if self.skip is None else None
        if self._retry_ns is not None and now < self._retry_ns:
            return self._retry_ns
        if not self._is_open:
            self._open()
        if not self._is_placed:
            self._place()
            return now
        self._left_out.tell(self._sink)
        if self._pending:
            return self._send(now)
        self._succeeded()
        return self._synced(now)

    def _read(self) -> list[JournalRecord]:
        """The next signals, or amendments, for the sink."""
        while self._reader.seq < self._journal.next_seq:
            found = self._reader.read()
            if self._kind == "signal":
                found = [record for record in found if is_for_sinks(record)]
            if found:
                return found
        return []

    def _open(self) -> None:
        self._held = self._sink.open(self._last_id or None)
        self._is_open, self._is_placed = True, False

    def _place(self) -> None:
        """Goes to behind the last signal that the place holds. Raises SinkError FOREIGN if the journal has none like it."""
        held, self._is_placed = self._held, True
        if held is None or held == self._last_id:
            return
        at = next((i for i, record in enumerate(self._pending) if record.key == held), None)
        if held == "":
            self._seek(max(self._reader.first_seq, self._began))
        elif at is not None:
            self._pending = self._pending[at + 1 :]
        else:
            found = JournalReader(self._journal.folder).find(held)
            if found is None:
                raise self._foreign(held)
            self._seek(found.seq + 1)
        self._last_id = held
        self._commit()

    def _seek(self, seq: int) -> None:
        self._pending = []
        self._reader.seek(seq)

    def _send(self, now: int) -> int:
        self._sending = self._pending[: self._limit]
        if self._places is not None:
            inputs = self._places.before(SignalRecord.from_json(self._sending[-1].body).lineage.tape.offset)
            if inputs is not None:
                cast("CommittingSink", self._sink).rests_on(inputs)
        self._sink.send(self._sending)
        count = len(self._sending)
        self._last_id, self._sending = self._sending[-1].key, ()
        self._pending = self._pending[count:]
        self._sent += count
        self._succeeded()
        if self._limit is not None:
            self._limit *= 2
            if self._limit > len(self._pending):
                self._limit = None
        self._commit()
        if self._sync_ns is None:
            self._sync_ns = now + SYNC_NS
        if self._limit is not None:
            return now
        self._synced(now)
        return now + (PAUSE_NS if self._pending or self._reader.seq < self._journal.next_seq else REST_NS)

    def _succeeded(self) -> None:
        self._failures = self._refusals = 0
        self._retry_ns = self._error = None

    def _synced(self, now: int) -> int | None:
        """Has the sink force to the disk what it was sent, once a second; when that is due, None if it has nothing."""
        if self._sync_ns is None or now < self._sync_ns:
            return None if self._pending or self._reader.seq < self._journal.next_seq else self._sync_ns
        self._sync_ns = None
        sync: Callable[[], None] | None = getattr(self._sink, "sync", None)
        if sync is not None:
            sync()
        return None

    def _commit(self) -> None:
        near = self._reader.piece if self._pending else self._reader.place
        with suppress(OSError):  # a full disk: what the place holds still decides
            self._cursor.write(SinkPosition(self._next_seq(), self._last_id, near, self._began))

    def _failed(self, error: BaseException, now: int) -> int:
        """Closes the sink; returns when it is to be opened again."""
        batch, self._sending = self._sending, ()
        self._failures += 1
        refused = isinstance(error, SinkError) and error.code == "REFUSED"
        if isinstance(error, JournalError):
            seq = self._next_seq()
            self._left_out.forget_count()
            self._seek(seq)
        if len(batch) > 1:
            ids = [record.key for record in batch]
            named = error.value if isinstance(error, SinkError) and refused else None
            self._limit = max(1, ids.index(named) if named in ids else len(batch) // 2)
        text = error.one_line if isinstance(error, SignalStreamError) else f"{type(error).__name__}: {error}"
        self._error = text.removeprefix(f"{self.name}: ")  # whoever shows it names the sink before
        if len(batch) == 1:
            self._stands_at(batch[0], refused=refused)
        self._close_sink()
        longest = RETRY_NS_MAX
        if self.settings.when_lagging != "wait":  # a place that came back is found before its lag counts
            longest = min(longest, max(RETRY_NS, self.settings.lag_max_ns // 4))
        pause = min(RETRY_NS << min(self._failures - 1, 20), longest)
        self._retry_ns = now + pause // 2 + self._draw.randrange(pause // 2)
        return self._retry_ns

    def _stands_at(self, record: JournalRecord, *, refused: bool) -> None:
        """Names the one signal that the sink does not take; with "skip" asks for going on without one that it refuses."""
        which = f"{self._kind} {record.key} (record {record.seq:,})"
        if not refused:
            self._error = f"{self._error} It stands at {which}."
            return
        self._refusals += 1
        if self._refusals < REFUSALS:
            return
        self._error = f"{which} was refused {self._refusals} times: {self._error}"
        if self.settings.when_lagging == "skip":
            self._left_out.ask(record, record, 1, self._error, end_seq=record.seq + 1)

    def _skips(self) -> bool:
        """Whether this step was for finding out what to leave out, since it has waited too long."""
        left_out = self._left_out
        if not left_out.is_counting and not (
            self._pending and self.settings.when_lagging == "skip" and self.lag_ns > self.settings.lag_max_ns
        ):
            return False
        if self._pending:
            left_out.count(self._pending)
            self._pending = []
            return True
        reason = f"waited {self.lag_ns / 1e9:.1f} s, lag_max is {self.settings.lag_max_ns / 1e9:g} s"
        if self._error is not None:
            reason += f": {self._error}"
        left_out.ask_counted(reason, end_seq=self._reader.seq)
        return True

    def _pass_over(self) -> None:
        """Goes on behind a range that the journal says was left out."""
        end_seq = self._left_out.pass_over()
        self._pending = [record for record in self._pending if record.seq >= end_seq]
        self._refusals = 0
        self._limit = None
        self._commit()

    def _close_sink(self) -> None:
        self._is_open = False
        self._sync_ns = None
        with suppress(Exception):  # it is closed because it failed, or at the end, when the journal has everything
            self._sink.close()

    def _foreign(self, held: str) -> SinkError:
        return SinkError(
            "FOREIGN",
            f"ends with signal {held}, which the journal does not hold, nor those before it",
            where=self.name,
            value=held,
            next_step="Move what it holds aside (a file together with the hidden .cursor beside it), or restore the state "
            "folder that made it.",
        )
