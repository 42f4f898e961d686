"""What venues say of their instruments, as entries of an instruments file: from the answers of their REST services."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from signal_stream.errors import DataError, TapeError

if TYPE_CHECKING:
    from pathlib import Path

Entry = dict[str, Any]
_NS_IN_MS: Final = 1_000_000


def venue_instruments(path: Path, venue: str | None = None) -> list[Entry]:
    """The instruments of a file, as entries of an instruments file (`read_instruments`), in the order of their first answers; a
    later answer stands in place of an earlier one.

    The file is a recording, of which the venue's answers about instruments are read, or one such answer; then `venue` says whose.
    Raises TapeError for what cannot be read, DataError BAD_VALUE where no answer is of a venue that is known.
    """
    found: dict[str, Entry] = {}
    for name, url, body in _answers(path, venue):
        for entry in _entries(name, url, body):
            told = {key: value for key, value in entry.items() if value not in (None, "")}
            found[entry["id"]] = told | _scales(told)
    if not found:
        raise DataError(
            "BAD_VALUE", "no answer of a venue in it lists instruments", where=str(path), value=venue,
            next_step=f"Known are those of {', '.join(sorted(_READERS))}; of an answer by itself say whose it is: --venue NAME.",
        )  # fmt: skip
    return list(found.values())


def _answers(path: Path, venue: str | None) -> Iterator[tuple[str, str, Any]]:
    """Venue, URL and body of each answer."""
    text = _text(path)
    if venue is not None:
        try:
            yield venue.lower(), "", json.loads(text)
            return
        except ValueError:
            pass  # a recording, of which it is said, too
    exchange = venue or ""
    for line in text.splitlines():
        try:
            envelope = json.loads(line)
        except ValueError:
            continue
        if not isinstance(envelope, dict):
            continue
        if envelope.get("t") == "header":
            exchange = exchange or str(envelope.get("exchange", ""))
        elif envelope.get("t") == "http" and isinstance(envelope.get("data"), str):
            try:
                yield exchange.lower(), str(envelope.get("url", "")), json.loads(envelope["data"])
            except ValueError:
                continue


def _text(path: Path) -> bytes:
    import pyarrow as pa

    try:
        with path.open("rb") as opened:
            head = opened.read(4)
        packed = {b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x8b\x08\x00": "gzip"}
        compression = packed.get(head) or ("gzip" if head[:2] == b"\x1f\x8b" else None)
        with pa.input_stream(str(path), compression=compression) as stream:
            text: bytes = stream.read()
            return text
    except FileNotFoundError:
        raise TapeError("NOT_FOUND", "there is no such file", where=str(path)) from None
    except (pa.ArrowException, OSError) as error:
        raise TapeError("UNREADABLE", f"it cannot be read: {error}", where=str(path)) from None


def _entries(venue: str, url: str, body: Any) -> Iterator[Entry]:
    """What an answer says; nothing of one that is about something else."""
    name = next((known for known in _READERS if venue.startswith(known)), None)
    if name is None:
        return
    try:
        yield from _READERS[name](url, body)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise DataError(
            "BAD_VALUE",
            f"{name} lists an instrument in a way that is not known: {error!r}",
            where=url or name,
            value=venue,
        ) from None


def _list(body: Any, key: str, needs: str) -> list[Mapping[str, Any]]:
    """The list of an answer, if its entries have what instruments have."""
    listed = body.get(key) if isinstance(body, dict) else None
    listed = list(listed.values()) if isinstance(listed, dict) else listed
    return listed if isinstance(listed, list) and listed and isinstance(listed[0], dict) and needs in listed[0] else []


def _step(places: int) -> str:
    return f"{Decimal(1).scaleb(-places):f}"


def _exact(number: object) -> str:
    """A number as the venue wrote it, without an exponent."""
    return f"{Decimal(str(number)):f}"


def _scales(entry: Entry) -> Entry:
    """Decimal places of a tape, where the nine that are usual are too few for the smallest steps or what the venue writes."""
    found = {"price_scale": 10} if entry["id"].rpartition(".")[2] in ("KRAKEN", "KUCOIN") else {}
    for key, step in (("price_scale", entry.get("tick")), ("qty_scale", entry.get("lot"))):
        places = -int(Decimal(step).normalize().as_tuple().exponent) if step else 0
        if places > max(9, found.get(key, 0)):
            found[key] = min(18, places)
    return found


def _kraken(_url: str, body: Any) -> Iterator[Entry]:
    for each in _list(body, "result", "pair_decimals"):
        if "wsname" in each:
            tick, lot = _step(each["pair_decimals"]), _step(each["lot_decimals"])
            currency = str(each["wsname"]).rpartition("/")[2]
            yield {"id": f"{each['wsname']}.KRAKEN", "kind": "spot", "tick": tick, "lot": lot, "currency": currency}


def _okx(_url: str, body: Any) -> Iterator[Entry]:
    for each in _list(body, "data", "instType"):
        kind = {"SPOT": "spot", "MARGIN": "spot", "SWAP": "perpetual", "FUTURES": "future", "OPTION": "option"}.get(
            each["instType"]
        )
        if kind is None:
            continue
        entry = {
            "id": f"{each['instId']}.OKX", "kind": kind, "tick": each.get("tickSz"), "lot": each.get("lotSz"),
            "multiplier": each.get("ctVal"), "currency": each.get("settleCcy") or each.get("quoteCcy"),
        }  # fmt: skip
        if kind in ("future", "option"):
            entry["expiry"] = int(each["expTime"]) * _NS_IN_MS
        if kind == "option":
            right = {"C": "call", "P": "put"}[each["optType"]]
            entry |= {"underlying": f"{each['uly']}.OKX", "strike": each["stk"], "right": right}
        yield entry


def _deribit(_url: str, body: Any) -> Iterator[Entry]:
    for each in _list(body, "result", "instrument_name"):
        kind = "perpetual" if each["instrument_name"].endswith("-PERPETUAL") else each["kind"]
        if kind not in ("perpetual", "future", "option", "spot"):
            continue
        entry = {
            "id": f"{each['instrument_name']}.DERIBIT", "kind": kind, "tick": _exact(each["tick_size"]),
            "lot": _exact(each["min_trade_amount"]), "multiplier": _exact(each["contract_size"]),
            "currency": each["quote_currency"],
        }  # fmt: skip
        if kind in ("future", "option"):
            entry["expiry"] = int(each["expiration_timestamp"]) * _NS_IN_MS
        if kind == "option":
            underlying = f"{each['base_currency']}.DERIBIT"
            entry |= {"underlying": underlying, "strike": _exact(each["strike"]), "right": each["option_type"]}
        yield entry


def _coinbase(_url: str, body: Any) -> Iterator[Entry]:
    for each in _list(body, "products", "product_id"):
        if each.get("product_type", "SPOT") == "SPOT":
            yield {
                "id": f"{each['product_id']}.COINBASE", "kind": "spot", "tick": each["price_increment"],
                "lot": each["base_increment"], "currency": each["quote_currency_id"],
            }  # fmt: skip


def _kucoin(_url: str, body: Any) -> Iterator[Entry]:
    for each in _list(body, "data", "baseIncrement"):
        yield {
            "id": f"{each['symbol']}.KUCOIN", "kind": "spot", "tick": each["priceIncrement"], "lot": each["baseIncrement"],
            "currency": each["quoteCurrency"],
        }  # fmt: skip


def _binance(_url: str, body: Any) -> Iterator[Entry]:
    for each in _list(body, "symbols", "filters"):
        filters = {known["filterType"]: known for known in each["filters"]}
        symbol, contract = str(each["symbol"]), each.get("contractType")
        entry = {
            "kind": "spot" if contract is None else "perpetual", "tick": filters["PRICE_FILTER"]["tickSize"],
            "lot": filters["LOT_SIZE"]["stepSize"], "currency": each.get("marginAsset") or each["quoteAsset"],
        }  # fmt: skip
        if contract is None:
            name = symbol
        elif "_" not in symbol or symbol.endswith("_PERP"):
            name = f"{symbol.removesuffix('_PERP')}-PERP"
        else:
            name = symbol.replace("_", "-")
            entry |= {"kind": "future", "expiry": int(each["deliveryDate"]) * _NS_IN_MS}
        if "contractSize" in each:
            entry["multiplier"] = _exact(each["contractSize"])
        yield {"id": f"{name}.BINANCE", **entry}


_READERS: Final[Mapping[str, Callable[[str, Any], Iterator[Entry]]]] = {
    "binance": _binance, "coinbase": _coinbase, "deribit": _deribit, "kraken": _kraken, "kucoin": _kucoin, "okx": _okx,
}  # fmt: skip


def write_instruments(path: Path, entries: list[Entry]) -> None:
    """Writes entries as an instruments file: Parquet, or TOML where the name ends in .toml. Raises OSError."""
    if path.suffix == ".toml":
        blocks = ["format = 1\n"]
        for entry in entries:
            lines = (f"{key} = {_toml(key, value)}\n" for key, value in entry.items())
            blocks.append("[[instrument]]\n" + "".join(lines))
        path.write_text("\n".join(blocks), "utf-8")
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    keys = list(dict.fromkeys(key for entry in entries for key in entry))
    pq.write_table(pa.table({key: [entry.get(key) for entry in entries] for key in keys}), path)


def _toml(key: str, value: object) -> str:
    if key in ("expiry", "valid_from") and isinstance(value, int) and value % 1_000_000_000 == 0:
        return datetime.fromtimestamp(value / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(value, ensure_ascii=False)
