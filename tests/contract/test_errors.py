"""Errors: a closed set with stable codes, and texts that a user can act on."""

from __future__ import annotations

import ast
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from signal_stream import errors
from signal_stream.errors import GraphError, SettingsError, SignalStreamError, TapeError


def test_the_set_is_closed_and_each_code_is_explained() -> None:
    rows = list(errors.list_all_errors())
    assert len({(row.error, row.code) for row in rows}) == len(rows)
    for row in rows:
        assert row.code == row.code.upper()
        assert row.meaning
        assert issubclass(getattr(errors, row.error), SignalStreamError)
    leaves = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, SignalStreamError) and kind is not SignalStreamError
    }
    assert {row.error for row in rows} == leaves


def test_a_code_outside_the_set_is_a_programmers_mistake() -> None:
    with pytest.raises(AssertionError, match="no code 'SLOPPY'"):
        SettingsError("SLOPPY", "x")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            GraphError(
                "UNKNOWN_OPERATOR",
                'feature "vol_30s": no operator "stdev" on a rolling window',
                where="graph.py:14",
                next_step=errors.did_you_mean("stdev", ["std", "mean", "skew"]),
            ),
            'graph.py:14  feature "vol_30s": no operator "stdev" on a rolling window. Did you mean "std"?',
        ),
        (
            TapeError("LATE", "depth diff 7 follows 3", where="BTCUSDT.BINANCE"),
            "BTCUSDT.BINANCE: depth diff 7 follows 3.",
        ),
        (SettingsError("SYNTAX", "not TOML"), "not TOML."),
        (SettingsError("SYNTAX", "two\n  lines."), "two lines."),
    ],
)
def test_the_text_says_where_what_and_what_to_do(error: SignalStreamError, text: str) -> None:
    assert str(error) == text


def test_long_advice_gets_a_line_of_its_own_and_no_more() -> None:
    error = GraphError("UNBOUNDED", "m" * 150, where="graph.py:1", next_step="a\nb " * 30)
    first, second = str(error).split("\n")
    assert first.endswith("m.")
    assert second.startswith("    a b")


def test_errors_cross_processes_whole() -> None:
    error = SettingsError("BAD_VALUE", "m", where="d.toml:3", value=(1, "x"), next_step="Do that.")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is SettingsError
    assert (again.code, again.value, str(again)) == (error.code, error.value, str(error))


def test_every_error_ends_with_2() -> None:
    """1 is left to results: two runs that differ."""
    assert {kind.exit_code for kind in SignalStreamError.__subclasses__()} == {2}


@pytest.mark.parametrize(
    ("name", "near"), [("latenes", "lateness"), ("MAX_AGE", "max_age"), ("gaurds", "guards"), ("zzz", None)]
)
def test_the_nearest_name(name: str, near: str | None) -> None:
    assert errors.nearest(name, ["late", "lateness", "max_age", "guards"]) == near


def test_without_a_near_name_all_are_listed() -> None:
    assert errors.did_you_mean("zzz", ["b", "a"]) == "Known are: a, b."
    assert errors.did_you_mean("zzz", []) == ""


def test_errors_and_records_load_nothing_heavy() -> None:
    heavy = {"numpy", "pyarrow", "pydantic", "onnxruntime", "rich"}
    code = (
        "import sys; before = set(sys.modules); import signal_stream.errors, signal_stream.records, "
        f"signal_stream.guards; print(({heavy!r} & set(sys.modules)) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


ROOMS = {
    "GraphError": "features research serve",
    "TapeError": "ingest store serve commands",
    "DataError": "ingest research demo",
    "EngineError": "research serve",
    "BoundRowsError": "research",
    "SettingsError": "settings parts serve ingest",
    "ManifestError": "registry research",
    "RegistryError": "registry",
    "ModelError": "models research serve",
    "GateError": "guards records",
    "LatchError": "store commands",
    "JournalError": "store records serve",
    "StateError": "store serve cli stack",
    "SinkError": "emit serve testing",
    "ComponentError": "components stack",
    "GatewayError": "gateway",
    "RemoteError": "client",
    "ReplayError": "serve",
    "CommandError": "cli commands demo",
}
"""Who may raise what. An error of another room, taken because it was handy, tells a user and a script the wrong thing."""


def test_no_room_borrows_the_error_of_another() -> None:
    package = Path(errors.__file__).parent
    found: dict[str, set[str]] = {}
    for path in package.rglob("*.py"):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match call:
                case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str(code)), *_]) if name in ROOMS:
                    if code.isupper():
                        found.setdefault(name, set()).add(room)
    assert found == {name: set(rooms.split()) for name, rooms in ROOMS.items()}
