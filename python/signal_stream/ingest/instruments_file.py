"""What instruments are, from a file: TOML that a person writes, or a Parquet table that a program does.

    format = 1

    [[instrument]]
    id = "BTC-25MAR22-30000-C.DERIBIT"
    kind = "option"                          # spot, equity, index, perpetual, future, option, spread, bond
    underlying = "BTC.DERIBIT"
    strike = "30000"
    expiry = 2022-03-25T08:00:00Z
    right = "call"
    tick = "0.0005"
    price_scale = 9                          # decimal places on a tape

A Parquet file has these keys as columns, one row an instrument. The same id again with a later `valid_from` says what changed
then. Without `kind` an entry says the scales only.
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any, Final

from signal_stream.core_errors import core_error
from signal_stream.durations import moment_ns
from signal_stream.errors import DataError, TapeError, did_you_mean
from signal_stream.instrument_ids import id_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_SCALES: Final = {"price_scale": 9, "qty_scale": 9}
_TERMS: Final = (
    "venue", "symbol", "kind", "multiplier", "tick", "lot", "price_display", "currency", "calendar",
    "underlying", "strike", "expiry", "right", "style",
)  # fmt: skip
KEYS: Final = ("id", "valid_from", *_SCALES, *_TERMS)
_FORMATS: Final = 1


def read_instruments(path: Path) -> str:
    """The instruments of a file in the core's words: JSON that `Reader` and `LiveSource` take.

    Raises TapeError NOT_FOUND or UNREADABLE, and DataError BAD_VALUE with the entry for what makes no sense.
    """
    if not path.is_file():
        raise TapeError("NOT_FOUND", "there is no such instruments file", where=str(path))
    with path.open("rb") as opened:
        is_parquet = opened.read(4) == b"PAR1"
    entries = _parquet(path) if is_parquet else _toml(path)
    return known_instruments(((entry, f"{path}: instrument {nth}") for nth, entry in enumerate(entries, 1)), path)


def known_instruments(entries: Iterable[tuple[Mapping[str, Any], str]], path: Path | str) -> str:
    """Entries, each with where it stands, in the core's words. Raises DataError BAD_VALUE for what makes no sense."""
    known: dict[str, dict[str, Any]] = {}
    for entry, where in entries:
        _take(entry, where, known)
    text = json.dumps(list(known.values()))
    _check(text, path)
    return text


def _toml(path: Path) -> list[dict[str, Any]]:
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TapeError("UNREADABLE", f"no TOML: {error}", where=str(path)) from None
    number = found.pop("format", 1)
    if number != _FORMATS:
        what = f"format = {number!r}: this version reads {_FORMATS}"
        raise TapeError("UNKNOWN_FORMAT", what, where=str(path), next_step="Read it with a newer version.")
    entries = found.pop("instrument", [])
    if found or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        what = f"it holds {', '.join(found) or 'one table'}, and no list of instruments"
        raise DataError("BAD_VALUE", what, where=str(path), next_step="Write one [[instrument]] for each.")
    return entries


def _parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise TapeError("UNREADABLE", f"the Parquet file cannot be read: {error}", where=str(path)) from None
    return [{key: value for key, value in row.items() if value is not None} for row in rows]


def _take(entry: Mapping[str, Any], where: str, known: dict[str, dict[str, Any]]) -> None:
    """Adds one entry to what is known."""
    for key in entry:
        if key not in KEYS:
            raise DataError(
                "BAD_VALUE", f'unknown key "{key}"', where=where, value=key, next_step=did_you_mean(key, KEYS)
            )
    name = entry.get("id") or ".".join(str(entry[key]) for key in ("symbol", "venue") if entry.get(key))
    if not isinstance(name, str) or not name:
        raise DataError("BAD_VALUE", "it has no id", where=where, next_step='Write id = "BTCUSDT.BINANCE".')
    fault = id_fault(name)
    if fault is not None:
        raise DataError("BAD_VALUE", f"the id {fault}", where=where, value=name, next_step="Mend it.")
    where = f"{where} ({name})"
    scales = {key: entry.get(key, default) for key, default in _SCALES.items()}
    for key, value in scales.items():
        if type(value) is not int or not 0 <= value <= 18:
            raise DataError("BAD_VALUE", f"{key} = {value!r} is not from 0 to 18", where=where, value=value)
    listed = known.setdefault(name, {"id": name, **scales, "definitions": []})
    told = {key: value for key, value in scales.items() if key in entry and listed[key] != value}
    if told:
        key, value = next(iter(told.items()))
        what = f"{key} is {listed[key]} in an entry before and {value} here: decimal places never change"
        raise DataError("BAD_VALUE", what, where=where, value=value)
    if "kind" not in entry:
        return
    symbol, _, venue = name.rpartition(".")
    terms = {"symbol": symbol or name, "venue": venue} | {key: entry[key] for key in _TERMS if key in entry}
    if "expiry" in terms:
        terms["expiry"] = _moment(terms["expiry"], "expiry", where)
    since = _moment(entry.get("valid_from", 0), "valid_from", where)
    if listed["definitions"] and listed["definitions"][-1][0] >= since:
        what = "valid_from is not after that of the entry before"
        raise DataError("BAD_VALUE", what, where=where, next_step="Write what changed later below what it changed.")
    listed["definitions"].append([since, terms])


def _moment(value: object, key: str, where: str) -> int:
    try:
        return moment_ns(value)
    except ValueError as error:
        raise DataError(
            "BAD_VALUE", f"{key} is no time", where=where, value=value, next_step=f"Write {error}."
        ) from None


def _check(text: str, path: Path | str) -> None:
    from signal_stream import _core

    try:
        _core.check_instruments(text)
    except _core.CoreError as error:
        raise core_error(error, "events", where=str(path)) from None
