"""Guards that a model is registered with: the three ways to write them, and what is refused, with the place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from signal_stream import parts
from signal_stream.errors import SettingsError
from signal_stream.settings import GuardSettings, model_guards
from signal_stream.settings.values import PositiveNs

FILE = """# guards of a desk
[[guard]]
kind = "band"
lowest = 1.5
within = "5s"

[[guard]]
kind = "band"
lowest = 2.0
table = "levels.csv"
"""


class Band:
    """A guard with settings of several types."""

    class Settings(GuardSettings):
        """`lowest` and more."""

        lowest: float
        side: str = "buy"
        sides: tuple[str, ...] = Field(default=(), strict=False)
        within: PositiveNs | None = None
        table: Path | None = Field(default=None, strict=False)

    def __init__(self, settings: Settings) -> None:
        if settings.lowest < 0:
            raise ValueError("below zero")


Band.Settings.model_rebuild()


@pytest.fixture(autouse=True)
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(parts._BUILT_IN["guard"], "band", f"{__name__}:Band")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("band:lowest=1.5", {"lowest": 1.5}),
        ("band:lowest=1.5,side=sell,within=5s", {"lowest": 1.5, "side": "sell", "within": "5s"}),
        ('band: side = "a,b" , lowest = 2.0,', {"lowest": 2.0, "side": "a,b"}),
        ('band:sides=["a", "b"],lowest=1e3', {"lowest": 1000.0, "sides": ["a", "b"]}),
        ({"kind": "band", "lowest": 1.5}, {"lowest": 1.5}),
    ],
)
def test_a_guard_is_kept_as_its_section_stands(given: Any, kept: dict[str, Any]) -> None:
    [found] = model_guards([given])
    assert dict(found) == {"kind": "band", **kept}


def test_a_file_of_guards_is_read_with_its_paths(tmp_path: Path) -> None:
    path = tmp_path / "guards.toml"
    path.write_text(FILE)
    found = [dict(each) for each in model_guards([path, "band:lowest=3.0"])]
    assert found == [
        {"kind": "band", "lowest": 1.5, "within": "5s"},
        {"kind": "band", "lowest": 2.0, "table": str(tmp_path / "levels.csv")},
        {"kind": "band", "lowest": 3.0},
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("bnd:lowest=1.5", r'guard bnd:lowest=1.5: .*no guard is named "bnd". Did you mean "band"'),
        ("band", r'guard band: \[\[guard\]\] missing key "lowest"'),
        ("band:", r'guard band:: "" does not begin with key=value'),
        ("band:lowest", r'"lowest" does not begin with key=value'),
        ('band:lowest=1.0,side="a', r'"side="a" does not begin with key=value'),
        ("band:lowest=low", r'\[\[guard\]\] lowest = "low" is not a number'),
        ("band:lowest=1.0,sid=sell", r'unknown key "sid".* Did you mean "side"'),
        ("band:lowest=-1.0", r'guard "band" could not be made: ValueError: below zero'),
        ("band:lowest=nan", "JSON cannot hold"),
        ('band:lowest=1.0,models=["a"]', "a guard of a manifest judges the signals of its own model"),
        ({"lowest": 1.0}, r'guards\[0\]: .*missing key "kind"'),
    ],
)
def test_what_is_wrong_is_named_with_its_place(given: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        model_guards([given])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FILE.replace("lowest = 2.0", "lowest = true"), r"guards.toml:9  \[\[guard\]\] lowest = true is not"),
        (FILE + 'kid = "x"\n', r'guards.toml:11  \[\[guard\]\] unknown key "kid"'),
        (FILE + "[source]\n", r"guards.toml:11  unknown section \[source\]: a file of guards has \[\[guard\]\] alone"),
        ("", "guards.toml: it names no guard"),
        ("[guard]\n", r"guards.toml:1  "),
    ],
)
def test_a_file_is_wrong_on_a_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "guards.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        model_guards([path])
