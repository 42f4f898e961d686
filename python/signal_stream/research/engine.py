"""The engine for people: one event, one row buffer, or a batch in; vectors out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, Unpack

from signal_stream.core_errors import BoundRowsError, core_error
from signal_stream.durations import LATENESS_MAX, duration_ns, duration_text
from signal_stream.errors import DataError, EngineError, GraphError
from signal_stream.features import FeatureGraph
from signal_stream.research.amendments import Amendments, amend_ns
from signal_stream.research.frames import record_batches
from signal_stream.research.input_options import EngineOptions, TableOptions, filled, part, takes
from signal_stream.research.table_options import makes_empty_bars, stated_ns
from signal_stream.research.table_rows import ROWS_MANY

if TYPE_CHECKING:
    import pyarrow as pa

    from signal_stream import _core
    from signal_stream.research.table_rows import TableRows


_T = TypeVar("_T")


def refused_row(code: str, message: str) -> NoReturn:
    """The core calls it, by this name, for a bound row that it refuses."""
    from signal_stream import _core

    raise core_error(_core.CoreError(code, message, None), "row")


class Engine:
    """Runs a graph over events, in batches of any size, down to one.

    `lateness` is for graphs on venue time: events are put in its order, and wait until no earlier one may come. One that
    comes later yet, by no more than `amend_within`, changes what was given: see `take_amendments`.
    `push` takes tape batches (`signal_stream.read_tape`), or Arrow tables of bars, trades or quotes with a column map as
    in `compute`. What comes out depends on the sequence of events alone, not on how it was cut into batches.

    >>> import pyarrow as pa
    >>> from signal_stream import Engine, FeatureGraph, bars
    >>> graph = FeatureGraph(name="g", on=bars("1m"), features={"d": bars("1m").close.diff()})
    >>> engine = Engine(graph, columns={"ts_open": "t", "close": "c"}, instrument="BTC")
    >>> table = pa.table({"t": [1700000040, 1700000100], "c": [10.0, 12.5]})
    >>> engine.push(table)["d"].to_pylist()
    [None, 2.5]
    """

    @takes(EngineOptions)
    def __init__(self, graph: FeatureGraph, **options: Unpack[EngineOptions]) -> None:
        if not isinstance(graph, FeatureGraph):
            what, advice = (
                f"it is {type(graph).__name__}, and no FeatureGraph",
                "Build one, or take one of a file: ss.load_graph(…).",
            )
            raise GraphError("BAD_ARGUMENT", what, where="graph", value=str(graph), next_step=advice)
        self.graph = graph
        self._options = filled(EngineOptions, options)
        self._amend_ns = amend_ns(self._options["amend_within"], graph)
        self._amendments: list[Amendments] = []
        self._rows: TableRows | None = None
        self._core: _core.Engine | None = None
        self.sampled: _core.Profile | None = None
        """Takes samples of what the engine does; set it before the first batch."""

    @property
    def core(self) -> _core.Engine:
        """The core's engine; made with the first batch, which says whether tapes or tables come."""
        if self._core is None:
            from signal_stream import _core

            self._core = _core.Engine(self.graph.plan, self._core_options(self._lateness_ns()))
            if self.sampled is not None:
                self._core.profile(self.sampled)
        return self._core

    def _core_options(self, lateness_ns: int) -> _core.EngineOptions:
        from signal_stream import _core

        shape = None if self._rows is None else self._rows.shape
        return _core.EngineOptions(
            instruments=self._options["instruments"],
            lateness_ns=lateness_ns,
            amend_ns=self._amend_ns,
            layout=None if shape is None else shape.layout,
            empty_bars=shape is not None and shape.empty_bars,
        )

    @property
    def rows(self) -> TableRows | None:
        """The rows of a table so far, and which of them were refused; None where none came."""
        return self._rows

    def _lateness_ns(self) -> int:
        """How long after newer ones an event may come. A table's rows have one time each, and none is late."""
        lateness_ns = stated_ns("lateness", self._options["lateness"], most=LATENESS_MAX)
        if lateness_ns is None:
            if self.graph.axis == "event" and self._rows is None:
                raise DataError(
                    "BAD_VALUE", 'the graph runs on venue time (axis="event"), and nobody said how late events may come',
                    next_step='Say lateness="2s" (--lateness 2s); "0s" if they come in the order of venue time.',
                )  # fmt: skip
            return 0
        return lateness_ns

    def push(self, batch: Any, *, reasons: bool = False) -> pa.RecordBatch:
        """Takes the next events and gives the vectors that they bring about, possibly none.

        `batch` is a tape batch, or an Arrow table or record batch (polars and pandas frames too). Rows must be in order
        of time. With `reasons`, one more column `<feature>.reason` each.
        """
        import pyarrow as pa

        pieces = [pa.record_batch(v.columns(reasons=reasons)) for v in self.push_vectors(batch)]
        if len(pieces) == 1:
            return pieces[0]
        if not pieces:
            return pa.record_batch(self._ask(lambda core: core.advance(-(2**62))).columns(reasons=reasons))
        return pa.concat_batches(pieces)

    def push_vectors(self, batch: Any, *, chunk: int | None = None) -> list[_core.Vectors]:
        """As `push`, but the core's own vectors, which cost less than Arrow for a few rows. `chunk` cuts the batch into
        so many messages or rows a call of the engine."""
        return list(self.stream(batch, chunk=chunk))

    def stream(self, batch: Any, *, chunk: int | None = None, whole: bool = True) -> Iterator[_core.Vectors]:
        """As `push_vectors`, one after another: a clock over a hole of days brings about more than memory may hold. Take
        all before the next batch. Of a piece of a table that is refused, no row is taken, and the engine may go on with a
        better one; with `whole=False` some may be, which is faster for an engine that ends with the first error."""
        from signal_stream import _core

        try:
            if isinstance(batch, _core.EventBatch):
                self._no_table()
                yield self._noted(self.core.push(batch, chunk))
                yield from self._rest()
                return
            for piece in record_batches(batch):
                yield from self._push_table(piece, chunk, whole)
        except _core.CoreError as error:
            raise core_error(error, "engine") from None

    def _rest(self) -> Iterator[_core.Vectors]:
        while self.core.left:
            yield self._noted(self.core.go_on())

    def _noted(self, vectors: _core.Vectors) -> _core.Vectors:
        if self._amend_ns and len((amended := Amendments(*self.core.take_amendments())).changes):
            self._amendments.append(amended)
        return vectors

    @property
    def amends(self) -> bool:
        """Whether late events change what was given."""
        return self._amend_ns > 0

    def take_amendments(self) -> list[Amendments]:
        """What late events changed since the last call, in the order in which it was found out; only with `amend_within`. Take
        them: they are kept until then."""
        taken, self._amendments = self._amendments, []
        return taken

    def end(self) -> list[_core.Vectors]:
        """The input has ended: gives the vectors of bars that waited for others of their moment. DataError if the rows
        as a whole prove to be no bars of the graph's length."""
        if self._rows is not None:
            self._rows.end()
        return [] if self._core is None else [self._ask(lambda core: core.finish())]

    def _ask(self, question: Callable[[_core.Engine], _T]) -> _T:
        """What the core answers. EngineError where it refuses, as before `stream` was taken to its end."""
        from signal_stream import _core

        try:
            return question(self.core)
        except _core.CoreError as error:
            raise core_error(error, "engine") from None

    def _no_table(self) -> None:
        given = self._table_options()
        if given:
            first = next(iter(given))
            raise DataError(
                "BAD_VALUE", f"{first} is given, which is for tables, but the input is a tape or capture",
                value=given[first], next_step=f"Leave {' and '.join(given)} out.",
            )  # fmt: skip

    def _table_options(self) -> dict[str, Any]:
        """Those that are given and are for tables."""
        return {name: value for name, value in part(TableOptions, self._options).items() if value}

    def _push_table(self, batch: pa.RecordBatch, chunk: int | None, whole: bool) -> Iterator[_core.Vectors]:
        from signal_stream.research.table_rows import TableRows
        from signal_stream.research.table_shape import TableShape

        if self._amend_ns:
            raise DataError(
                "BAD_VALUE", "amend_within is for tapes and captures, but the input is a table", where="amend_within",
                next_step="Leave it out and sort the table by ts_event, or make a tape of it: signal-stream tape import.",
            )  # fmt: skip
        if self._rows is None:
            by_venue = self.graph.axis == "event"
            shape = TableShape.of(self.graph.plan, batch.schema, self._options, by_venue=by_venue)
            self._rows = TableRows(shape)
            if self._core is not None:
                self._core.read_tables(shape.layout, shape.empty_bars)
        elif self._rows.bars is not None and (begins := self._rows.next_bar()) is not None:
            vectors = self._push_bars(self._rows.bars, batch, begins, chunk, whole)
            if vectors is not None:
                self._rows.went_on(batch.num_rows)
                yield vectors
                yield from self._rest()
                return
        piece = self._rows.piece(batch)
        if piece is None:
            return
        yield self.core.push_table(
            piece.names, piece.batch, chunk, received=piece.received, which=piece.which, room=ROWS_MANY
        )
        yield from self._rest()
        if self._options["lateness"] is None and self._rows.shape.by_venue and (late := self.core.counts()["late"]):
            raise DataError(
                "OUT_OF_ORDER", f"{late} rows lie before others in venue time, and nobody said how late a row may come",
                next_step='Say lateness="2s" (--lateness 2s), or sort the table by ts_event.',
            )  # fmt: skip

    def _push_bars(
        self, bars: _core.BarColumns, batch: pa.RecordBatch, begins: int, chunk: int | None, whole: bool
    ) -> _core.Vectors | None:
        """The vectors of bars that go on at `begins`; None, nothing taken, where they want another look."""
        from signal_stream import _core

        try:
            return self.core.push_bars(bars, batch, begins, chunk, room=ROWS_MANY, whole=whole)
        except _core.CoreError as error:
            if error.args[0] != "BELOW_ZERO":
                raise
        return None  # the other look names the row

    def bind(
        self, rows: Any, out: Any, *, fields: list[str], times: Any = None, reasons: Any = None, step: str | None = None
    ) -> Callable[[int], int]:
        """Binds buffers once, for the lowest cost a call.

        `rows` is a C-contiguous float64 array with one row an event and `fields` (as "close", "bid_qty_1") as columns;
        `out` takes one vector, NaN where invalid; `times` (int64 ns) the moment at which each row is known, else rows are
        `step` apart (default: the length of the graph's bars, else "1s"); `reasons` (uint8) takes the reason codes. Call
        the result with a row number: it gives the number of invalid features, -1 if the row brought no vector about.

        Rows begin a state of their own, which no batch shares. EngineError where they would not do what the same rows do
        in a table: a graph on a clock, bars to be built from trades, columns, latency, instruments or a state of this
        engine that they would not follow, buffers of another type or size, times that fall.
        """
        from signal_stream import _core

        step_ns = self._check_bound(fields, step)
        try:
            layout = _core.TableLayout(self.graph.plan, fields)
            empty_bars = makes_empty_bars(layout.bars_ns, self._options["missing_bars"])
            options = _core.EngineOptions(
                instruments=self._options["instruments"], layout=layout, empty_bars=empty_bars
            )
            core = _core.Engine(self.graph.plan, options)
        except _core.CoreError as error:
            raise core_error(error, "row") from None
        name = self._options["instrument"] or "TABLE"
        try:
            return core.bind(layout, name, rows, out, times=times, reasons=reasons, step_ns=step_ns).take
        except _core.CoreError as error:
            raise core_error(error, "row") from None
        except (ValueError, TypeError, BufferError) as error:
            raise BoundRowsError(
                "BAD_INPUT", f"these buffers cannot be bound: {error}",
                next_step="Give C-contiguous arrays: rows and out float64, times int64, reasons uint8.",
            ) from None  # fmt: skip

    @staticmethod
    def bound_snapshot(take: Callable[[int], int]) -> bytes:
        """What the graph of bound rows remembers, from what `bind` gave: `bound_restore` goes on there, and so does a WASM module
        of the same graph (docs/wasm.md).

        >>> import numpy as np
        >>> from signal_stream import Engine, FeatureGraph, bars
        >>> graph = FeatureGraph(name="g", on=bars("1m"), features={"up": bars("1m").close.diff()})
        >>> rows, out = np.array([[10.0], [12.5]]), np.zeros(1)
        >>> take = Engine(graph).bind(rows, out, fields=["close"])
        >>> take(0)
        1
        >>> state = Engine.bound_snapshot(take)
        >>> later = Engine(graph).bind(rows, out, fields=["close"])
        >>> Engine.bound_restore(later, state)
        >>> later(1), out
        (0, array([2.5]))
        """
        stepper: _core.Stepper = take.__self__  # type: ignore[attr-defined]
        return stepper.snapshot()

    @staticmethod
    def bound_restore(take: Callable[[int], int], state: bytes) -> None:
        """Lets bound rows go on where `bound_snapshot`, or a WASM module, saved their state. EngineError (`SNAPSHOT`) if it is of
        another graph, or damaged. `bound_snapshot` has an example.

        >>> import numpy as np
        >>> from signal_stream import Engine, FeatureGraph, bars
        >>> graph = FeatureGraph(name="g", on=bars("1m"), features={"c": bars("1m").close})
        >>> take = Engine(graph).bind(np.array([[10.0]]), np.zeros(1), fields=["close"])
        >>> Engine.bound_restore(take, Engine.bound_snapshot(take))
        >>> take(0)
        0
        """
        from signal_stream import _core

        try:
            take.__self__.restore(state)  # type: ignore[attr-defined]
        except _core.CoreError as error:
            raise core_error(error, "engine") from None

    def _check_bound(self, fields: object, step: str | None) -> int:
        """Nanoseconds between rows without times; EngineError for options that bound rows would not follow."""
        if isinstance(fields, str) or len(list(fields)) != len(set(fields)):  # type: ignore[call-overload]
            raise BoundRowsError("BAD_INPUT", f"fields={fields!r}", next_step="Give a list of names, each once.")
        for what, given in self._table_options().items():
            if what != "instrument":
                raise BoundRowsError(
                    "BAD_INPUT", f"{what}={given!r} is for tables: bound rows have fields, and times at which they are known",
                    next_step="Make an engine without it for them.",
                )  # fmt: skip
        if self._core is not None:
            raise BoundRowsError(
                "BAD_INPUT", "this engine has a state, which bound rows would not go on from",
                next_step="Bind an engine of their own.",
            )  # fmt: skip
        bars_ns = self.graph.plan.bars_ns
        if step is None:
            return bars_ns or 10**9
        try:
            step_ns = duration_ns(step) if isinstance(step, str) else 0
        except ValueError as error:
            raise BoundRowsError("BAD_INPUT", f"step is {step!r}", value=step, next_step=f"Give {error}.") from None
        if not step_ns or (bars_ns is not None and step_ns != bars_ns):
            said = f'"{duration_text(bars_ns)}", the length of the bars' if bars_ns else 'a duration such as "1s"'
            raise BoundRowsError("BAD_INPUT", f"step is {step!r}", value=step, next_step=f"Give {said}.")
        return step_ns

    def advance(self, ts: int) -> pa.RecordBatch:
        """The clock has reached `ts` nanoseconds: gives what was due before it, as a mark on a tape does. EngineError while
        vectors of `stream` are left."""
        import pyarrow as pa

        if self.core.left:
            raise EngineError(
                "BAD_INPUT", "the clock cannot move on: what was pushed before is not taken whole", value=ts,
                next_step="Take all that `stream` gives first.",
            )  # fmt: skip
        return pa.record_batch(self._ask(lambda core: core.advance(ts)))

    def snapshot(self) -> bytes:
        """The whole state, with the graph's digest and a checksum. EngineError while vectors of `stream` are left."""
        return self._ask(lambda core: core.snapshot())

    @classmethod
    def restore(cls, graph: FeatureGraph, state: bytes, *, like: Engine | None = None) -> Engine:
        """An engine that goes on where the snapshot was taken. `like` is an engine of the same graph: its options (columns,
        instrument, latency, instruments, lateness, amend_within) are those of the new one. EngineError for a snapshot or
        `like` of another graph, or where `instruments` are not those of the snapshot."""
        from signal_stream import _core
        from signal_stream.research.table_rows import TableRows

        engine = cls(graph)
        if like is not None and like.graph.digest != graph.digest:
            raise EngineError(
                "BAD_INPUT", f'like= is an engine of graph "{like.graph.name}" ({like.graph.digest[:8]}…), not of '
                f'"{graph.name}" ({graph.digest[:8]}…): its columns are read for another graph',
                next_step="Give an engine of the same graph, or none.",
            )  # fmt: skip
        if like is not None:
            engine._options = like._options
            engine._amend_ns, engine._amendments = like._amend_ns, list(like._amendments)
            engine._rows = None if like._rows is None else TableRows(like._rows.shape)
        options = engine._core_options(0 if engine._options["lateness"] is None else engine._lateness_ns())
        try:
            engine._core = _core.Engine.restore(graph.plan, state, options)
        except _core.CoreError as error:
            raise core_error(error, "engine") from None
        if like is not None and like._rows is not None and like.messages == engine.messages:
            engine._rows = like._rows.copy()  # it stands where the snapshot was taken
        return engine

    def copy(self) -> Engine:
        """Another engine that stands where this one does; from here on they go apart. EngineError while vectors of `stream` are
        left."""
        if self._core is None:
            return Engine(self.graph, **self._options)
        return Engine.restore(self.graph, self.snapshot(), like=self)

    @property
    def messages(self) -> int:
        """Messages, or rows of a table, taken so far."""
        return self._ask(lambda core: core.messages)

    def counts(self) -> dict[str, Any]:
        """Verdicts on the messages so far: input = accepted + duplicate + late + rejected + conflated, in all and by stream."""
        return self._ask(lambda core: core.counts())
