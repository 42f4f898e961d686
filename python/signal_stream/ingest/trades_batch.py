"""Trades from anywhere as messages: what a source of one's own gives."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from signal_stream.core_errors import core_error
from signal_stream.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from signal_stream import _core

_TRADE: Final = 1
_LAST: Final = 1
_SIDES: Final = {"buy": 1, "sell": 2, None: 0}
_SCALE: Final = 9
_MAX: Final = 2**63 - 1


class Trade(NamedTuple):
    """One trade, as it was heard. Times are nanoseconds UTC; price and quantity are exact: text or Decimal."""

    ts_recv: int
    """When it was received: decisions go by it."""
    price: str | Decimal
    qty: str | Decimal
    side: Literal["buy", "sell"] | None = None
    """The aggressor's; None if nobody knows."""
    ts_event: int | None = None
    """When it happened, by the venue's clock; None if the venue does not say."""
    id: int | None = None
    """The venue's number of it, from 1 on: a number seen before is a duplicate, a missing one a gap. None if it has none."""


def trades_batch(instrument: str, trades: Iterable[Trade]) -> _core.EventBatch:
    """Trades of one instrument ("BTCUSDT.BINANCE") as messages, in the order given.

    Prices and quantities have at most 9 decimals and lie below 9,223,372,036. Raises DataError BAD_VALUE for others, naming the
    trade by its number from 0.

    >>> batch = trades_batch("AB.X", [Trade(1_700_000_000_000_000_000, "100.5", "2", "buy", id=1)])
    >>> batch.messages, batch.instruments, batch.first_recv
    (1, ['AB.X'], 1700000000000000000)
    """
    import pyarrow as pa

    from signal_stream import _core

    rows = list(trades)
    times = pa.timestamp("ns", "UTC")
    ids = [trade.id for trade in rows]
    columns = {
        "ts_recv": pa.array([trade.ts_recv for trade in rows], pa.int64()).cast(times),
        "ts_event": pa.array([trade.ts_event for trade in rows], pa.int64()).cast(times),
        "sequence": pa.array(ids, pa.uint64()),
        "sequence_prev": pa.array([None if number is None else number - 1 for number in ids], pa.uint64()),
        "instrument": pa.array([0] * len(rows), pa.uint16()),
        "kind": pa.array([_TRADE] * len(rows), pa.uint8()),
        "side": pa.array([_side(i, trade) for i, trade in enumerate(rows)], pa.uint8()),
        "flags": pa.array([_LAST] * len(rows), pa.uint8()),
        "price": pa.array([_mantissa(i, "price", trade.price) for i, trade in enumerate(rows)], pa.int64()),
        "qty": pa.array([_mantissa(i, "qty", trade.qty) for i, trade in enumerate(rows)], pa.int64()),
    }
    known = [{"id": instrument, "price_scale": _SCALE, "qty_scale": _SCALE}]
    may_be_null = ("ts_event", "sequence", "sequence_prev")
    schema = pa.schema(
        [pa.field(name, column.type, name in may_be_null) for name, column in columns.items()],
        metadata={"signal_stream.tape": "2", "signal_stream.instruments": json.dumps(known)},
    )
    try:
        return _core.EventBatch.from_arrow(pa.table(columns, schema=schema))
    except _core.CoreError as error:
        raise core_error(error, "events", where=instrument) from None


def _side(i: int, trade: Trade) -> int:
    code = _SIDES.get(trade.side)
    if code is None:
        raise DataError("BAD_VALUE", f'trade {i}: side is {trade.side!r}: "buy", "sell" or None', value=trade.side)
    return code


def _mantissa(i: int, name: str, value: str | Decimal) -> int:
    try:
        exact = Decimal(value).scaleb(_SCALE) if isinstance(value, str | Decimal) else None
    except InvalidOperation:
        exact = None
    if exact is None or not exact.is_finite() or exact != int(exact) or not 0 <= exact <= _MAX:
        what = f"trade {i}: {name} is {value!r}: text or a Decimal of at most {_SCALE} decimals, below {_MAX // 10**_SCALE}"
        raise DataError("BAD_VALUE", what, value=value)
    return int(exact)
