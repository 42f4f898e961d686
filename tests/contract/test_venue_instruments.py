"""What a venue says of its instruments becomes an instruments file, which `tape convert` reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from signal_stream.commands import program
from signal_stream.errors import CommandError, DataError, TapeError
from signal_stream.ingest import read_tape
from signal_stream.ingest.instruments_file import read_instruments

EXPIRY_MS = 1_632_470_400_000
ANSWERS: dict[str, tuple[Any, dict[str, dict[str, Any]]]] = {
    "KRAKEN": (
        {"error": [], "result": {
            "XXBTZUSD": {"wsname": "XBT/USD", "pair_decimals": 1, "lot_decimals": 8},
            "DARK": {"altname": "no name on the socket", "pair_decimals": 1, "lot_decimals": 8},
        }},
        {"XBT/USD.KRAKEN": {"kind": "spot", "tick": "0.1", "lot": "0.00000001", "currency": "USD"}},
    ),
    "OKX": (
        {"code": "0", "data": [
            {"instType": "SPOT", "instId": "BTC-USDT", "tickSz": "0.1", "lotSz": "0.00000001", "quoteCcy": "USDT",
             "settleCcy": "",
             "ctVal": "", "expTime": "", "stk": "", "optType": "", "uly": ""},
            {"instType": "OPTION", "instId": "BTC-USD-210924-40000-P", "tickSz": "0.0005", "lotSz": "1",
             "quoteCcy": "",
             "settleCcy": "BTC", "ctVal": "0.1", "expTime": str(EXPIRY_MS), "stk": "40000", "optType": "P",
              "uly": "BTC-USD"},
        ]},
        {
            "BTC-USDT.OKX": {"kind": "spot", "tick": "0.1", "lot": "0.00000001", "currency": "USDT"},
            "BTC-USD-210924-40000-P.OKX": {
                "kind": "option", "tick": "0.0005", "lot": "1", "multiplier": "0.1", "currency": "BTC",
                 "underlying": "BTC-USD.OKX",
                "strike": "40000", "right": "put", "expiry": EXPIRY_MS * 10**6,
            },
        },
    ),
    "DERIBIT": (
        {"jsonrpc": "2.0", "result": [
            {"instrument_name": "BTC-24SEP21-40000-P", "kind": "option", "tick_size": 5e-4,
             "min_trade_amount": 0.1, "strike": 40000.0,
             "contract_size": 1.0, "quote_currency": "BTC", "base_currency": "BTC", "option_type": "put",
             "expiration_timestamp": EXPIRY_MS},
            {"instrument_name": "BTC-PERPETUAL", "kind": "future", "tick_size": 0.5, "min_trade_amount": 10,
             "contract_size": 10.0,
             "quote_currency": "USD", "base_currency": "BTC", "expiration_timestamp": 32503708800000},
        ]},
        {
            "BTC-24SEP21-40000-P.DERIBIT": {
                "kind": "option", "tick": "0.0005", "lot": "0.1", "multiplier": "1", "currency": "BTC",
                 "underlying": "BTC.DERIBIT",
                "strike": "40000", "right": "put", "expiry": EXPIRY_MS * 10**6,
            },
            "BTC-PERPETUAL.DERIBIT": {"kind": "perpetual", "tick": "0.5", "lot": "10", "multiplier": "10",
             "currency": "USD"},
        },
    ),
    "COINBASE": (
        {"products": [{"product_id": "BTC-USD", "price_increment": "0.01", "base_increment": "0.00000001",
                       "quote_currency_id": "USD", "product_type": "SPOT"}]},
        {"BTC-USD.COINBASE": {"kind": "spot", "tick": "0.01", "lot": "0.00000001", "currency": "USD"}},
    ),
    "KUCOIN": (
        {"code": "200000", "data": [{"symbol": "CAPP-BTC", "priceIncrement": "0.00000000001",
         "baseIncrement": "0.0001",
                                     "quoteCurrency": "BTC"}]},
        {"CAPP-BTC.KUCOIN": {"kind": "spot", "tick": "0.00000000001", "lot": "0.0001", "currency": "BTC"}},
    ),
    "BINANCE_FUTURES": (
        {"symbols": [
            {"symbol": symbol, "contractType": contract, "quoteAsset": "USDT", "marginAsset": "USDT",
             "deliveryDate": EXPIRY_MS,
             "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01"}, {"filterType": "LOT_SIZE",
              "stepSize": "0.001"}]}
            for symbol, contract in (("BTCUSDT", "PERPETUAL"), ("BTCUSDT_210924", "CURRENT_QUARTER"))
        ]},
        {
            "BTCUSDT-PERP.BINANCE": {"kind": "perpetual", "tick": "0.01", "lot": "0.001", "currency": "USDT"},
            "BTCUSDT-210924.BINANCE": {
                "kind": "future", "tick": "0.01", "lot": "0.001", "currency": "USDT", "expiry": EXPIRY_MS * 10**6,
            },
        },
    ),
}  # fmt: skip


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(program("tape"), ["tape", "instruments", *map(str, arguments)])


def recording(path: Path, exchange: str, answer: Any) -> Path:
    other = {"t": "http", "ts": 1.5, "url": "https://x/depth", "data": json.dumps({"bids": [["1", "2"]]})}
    lines = [
        {"t": "header", "exchange": exchange},
        other,
        {"t": "http", "ts": 2.0, "url": "https://x", "data": json.dumps(answer)},
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def terms(path: Path) -> dict[str, dict[str, Any]]:
    """What the core makes of a file: numbers as they are compared, without zeros behind the point."""
    found = {}
    for each in json.loads(read_instruments(path)):
        ((_, told),) = each["definitions"]
        kept = {key: value for key, value in told.items() if key not in ("venue", "symbol")}
        found[each["id"]] = {
            key: value.removesuffix(".0") if key in ("strike", "multiplier", "lot") else value
            for key, value in kept.items()
        }
    return found


@pytest.mark.parametrize("suffix", ["toml", "parquet"])
@pytest.mark.parametrize("exchange", ANSWERS)
def test_what_a_venue_says_is_an_instruments_file(tmp_path: Path, exchange: str, suffix: str) -> None:
    answer, expected = ANSWERS[exchange]
    out = tmp_path / f"out.{suffix}"
    done = run(recording(tmp_path / "r.jsonl", exchange, answer), "-o", out)
    assert done.exit_code == 0, done.exception
    assert done.output.startswith(f"{out}  {len(expected):,} instruments: ")
    assert terms(out) == expected
    alone = tmp_path / "answer.json"
    alone.write_text(json.dumps(answer))
    again = tmp_path / f"again.{suffix}"
    assert run(alone, "-o", again, "--venue", exchange.lower()).exit_code == 0
    assert terms(again) == expected


def test_a_tape_knows_what_the_file_says(tmp_path: Path) -> None:
    out, tape, capture = tmp_path / "out.toml", tmp_path / "tape.parquet", tmp_path / "spot.cap"
    run(recording(tmp_path / "r.jsonl", "BINANCE_FUTURES", ANSWERS["BINANCE_FUTURES"][0]), "-o", out)
    ms = 1_700_000_040_000
    data = {"e": "trade", "E": ms, "s": "BTCUSDT", "t": 1, "p": "100.5", "q": "2", "T": ms, "X": "MARKET", "m": False}
    capture.write_text(f"{ms * 10**6} " + json.dumps({"stream": "btcusdt@trade", "data": data}) + "\n")
    converted = CliRunner().invoke(
        program("tape"), ["tape", "convert", str(capture), "-o", str(tape), "--instruments", str(out)]
    )
    assert converted.exit_code == 0, converted.exception
    (batch,) = read_tape(tape)
    assert batch.definition("BTCUSDT-PERP.BINANCE", ms * 10**6)["tick"] == "0.01"


def test_decimal_places_are_enough_for_the_smallest_step(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    run(recording(tmp_path / "r.jsonl", "KUCOIN", ANSWERS["KUCOIN"][0]), "-o", out)
    (found,) = json.loads(read_instruments(out))
    assert (found["price_scale"], found["qty_scale"]) == (11, 9)


def test_what_lists_no_instruments_is_refused(tmp_path: Path) -> None:
    nothing = recording(tmp_path / "r.jsonl", "KRAKEN", {"result": {}})
    out = tmp_path / "out.toml"
    refused = run(nothing, "-o", out).exception
    assert isinstance(refused, DataError)
    assert "Known are those of binance, coinbase, deribit, kraken, kucoin, okx" in str(refused)
    assert isinstance(run(tmp_path / "none", "-o", out).exception, TapeError)
    odd = recording(tmp_path / "o.jsonl", "OKX", {"data": [{"instType": "OPTION", "instId": "X", "expTime": "soon"}]})
    assert "okx lists an instrument in a way that is not known" in str(run(odd, "-o", out).exception)
    assert isinstance(run(nothing, "-o", tmp_path / "out.csv").exception, CommandError)
    assert not out.exists()
