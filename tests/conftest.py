"""Real market data for tests: the three Binance captures where they are at hand, else the excerpt in this repository.

The folder is named by SIGNAL_STREAM_DATA, or it is `../shared/data` beside the repository. With
SIGNAL_STREAM_REQUIRE_DATA=1 a test that needs the whole captures fails without them.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

# A change is judged by the same examples each time; whoever works on it searches on.
settings.register_profile("ci", derandomize=True, print_blob=True, deadline=None)  # speed is for benches
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_collection_finish() -> None:
    """What was imported stays: no collection of garbage looks at it again."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for servers comes first, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: {"integration", "simulation"}.isdisjoint(item.path.parts))


ROOT = Path(__file__).parents[1]
DAILY_STOCKS = ROOT / "tests" / "data" / "daily-stocks" / "five-stocks-2015-2017.csv.gz"
NAMES = {
    "BTCUSDT.BINANCE": "spot_btcusdt_20240808.gz",
    "BTCUSDT-PERP.BINANCE": "usdm_btcusdt_20240808.gz",
    "BTCUSD-PERP.BINANCE": "cm_btcusd_perp_20240808.gz",
}


class Capture(NamedTuple):
    """One instrument's raw capture."""

    instrument: str
    path: Path


def shared_data() -> Path:
    """The folder of data sets."""
    return Path(os.environ.get("SIGNAL_STREAM_DATA", ROOT.parent / "shared" / "data"))


def found() -> list[Capture]:
    folder = shared_data() / "binance-raw-2024-08-08"
    return [Capture(instrument, folder / name) for instrument, name in NAMES.items() if (folder / name).is_file()]


def excerpt() -> list[Capture]:
    path = next((ROOT / "tests" / "data" / "binance-excerpt").glob("*.gz"))
    return [Capture("BTCUSDT.BINANCE", path)]


@pytest.fixture(scope="session")
def captures() -> list[Capture]:
    """The real captures: all three, or the committed excerpt of the spot one."""
    whole = found()
    if len(whole) == len(NAMES):
        return whole
    assert os.environ.get("SIGNAL_STREAM_REQUIRE_DATA") != "1", "the captures are not at SIGNAL_STREAM_DATA"
    return excerpt()


@pytest.fixture(scope="session")
def spot(captures: list[Capture]) -> Path:
    """The spot capture, or its excerpt."""
    return captures[0].path


@pytest.fixture(scope="session")
def deribit() -> Path:
    """A day of Deribit's BTC-PERPETUAL trades, or the committed excerpt of it."""
    day = next(iter(sorted((shared_data() / "deribit-trades-2023-08-04").glob("*.csv.gz"))), None)
    if day is not None:
        return day
    assert os.environ.get("SIGNAL_STREAM_REQUIRE_DATA") != "1", "the day is not at SIGNAL_STREAM_DATA"
    return ROOT / "tests" / "data" / "deribit-excerpt" / "btc-perpetual.csv.gz"
