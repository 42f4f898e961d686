"""Does a deployment find the parts of installed packages, and does each mistake with them say where it is and what to do?"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.packages import write_metadata

from signal_stream import parts
from signal_stream.errors import SettingsError
from signal_stream.settings import load_deployment

DEPLOYMENT = """[pipeline]
name = "p"

[source]
url = "stdin:"
queue_rows = 1000
lateness = "0ms"
late = "drop"

[[model]]
ref = "m@live"

[guards]
max_age = "1s"
completeness = 1.0
"""
BEGINS = DEPLOYMENT.count("\n") + 1
"""The line that follows."""
MODULE = """
from pydantic import Field
from signal_stream.settings import GuardSettings, ObserverSettings, SinkSettings, SourceSettings

class Limit:
    class Settings(GuardSettings):
        limit: float = Field(gt=0)
    def __init__(self, settings):
        self.limit = settings.limit
    def check(self, prediction, vector, now):
        return None

def watching(settings):
    return object()
watching.Settings = ObserverSettings

class Bus:
    class Settings(SinkSettings):
        topic: str

class NoSettings:
    pass

text = "no factory"
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package of a module and its entry points."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    made = []

    def install_(name: str, groups: dict[str, dict[str, str]], *, module: str = MODULE, version: str = "1.2") -> None:
        site = tmp_path / f"site-{name}"
        write_metadata(site, name, version, groups)
        (site / f"{name}.py").write_text(module)
        sys.path.append(str(site))
        made.append(name)

    yield install_
    for name in made:
        sys.modules.pop(name, None)


def deployment(folder: Path, more: str) -> Path:
    path = folder / "deployment.toml"
    path.write_text(DEPLOYMENT + more)
    return path


def words(error: SettingsError) -> str:
    """What it says, on one line."""
    return str(error).replace("\n    ", " ")


def refused(folder: Path, more: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_deployment(deployment(folder, more))
    return caught.value


def test_parts_of_a_package_are_named_read_and_made(install: Install, tmp_path: Path) -> None:
    install("desk", {
        "signal_stream.guards": {"limit": "desk:Limit"}, "signal_stream.observers": {"watching": "desk:watching"},
        "signal_stream.sinks": {"bus": "desk:Bus"},
    })  # fmt: skip
    assert parts.kinds("guard") == ["limit"]
    assert parts.kinds("sink") == ["bus", "file", "kafka"]
    more = '[[guard]]\nkind = "limit"\nlimit = 0.5\n[[observer]]\nkind = "watching"\n[[sink]]\nurl = "bus://host"\ntopic = "t"\n'
    found = load_deployment(deployment(tmp_path, more))
    assert found.own_guards[0].limit == 0.5  # type: ignore[attr-defined]
    assert parts.make("guard", found.own_guards[0]).limit == 0.5
    assert type(parts.make("observer", found.observers[0])) is object
    assert found.sinks[0].topic == "t"  # type: ignore[attr-defined]


def test_nothing_is_imported_before_it_is_named(install: Install, tmp_path: Path) -> None:
    install("broken", {"signal_stream.guards": {"broken": "broken:Guard"}}, module="raise RuntimeError('imported')\n")
    assert parts.kinds("guard") == ["broken"]
    load_deployment(deployment(tmp_path, ""))
    assert "broken" not in sys.modules


@pytest.mark.parametrize(
    ("section", "named", "said"),
    [
        ("[[guard]]", 'kind = "limt"', 'no guard is named "limt". Did you mean "limit"?'),
        (
            "[[observer]]",
            'kind = "limit"',
            'no observer is named "limit". Others come with a package that has an entry',
        ),
        ("[[sink]]", 'url = "fle://x.jsonl"', 'no sink is named "fle". Did you mean "file"?'),
        ("[[sink]]", 'url = "amqp://host/topic"', 'no sink is named "amqp". Known are: file, kafka. Others come with'),
        ("[[sink]]", 'kind = "amqp"', "an entry point signal_stream.sinks"),
    ],
)
def test_an_unknown_part_has_its_line_and_the_nearest_name(
    install: Install, tmp_path: Path, section: str, named: str, said: str
) -> None:
    install("desk", {"signal_stream.guards": {"limit": "desk:Limit"}})
    error = refused(tmp_path, f"{section}\n{named}\nlimit = 1.0\n")
    assert error.code == "UNKNOWN_PART"
    assert said in words(error)
    assert f"deployment.toml:{BEGINS + 1}  {section} {named}: " in words(error)


def test_an_unknown_source_has_its_line(tmp_path: Path) -> None:
    path = deployment(tmp_path, "")
    path.write_text(path.read_text().replace('"stdin:"', '"stdn:"'))
    with pytest.raises(SettingsError) as caught:
        load_deployment(path)
    assert 'deployment.toml:5  [source] url = "stdn:": no source is named "stdn". Did you mean "stdin"?' in words(
        caught.value
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("desk:Nothing", "cannot be loaded (AttributeError: module 'desk' has no attribute 'Nothing')"),
        ("nowhere:Limit", "cannot be loaded (ModuleNotFoundError: No module named 'nowhere')"),
        ("failing:Limit", "cannot be loaded (ZeroDivisionError: division by zero)"),
        ("desk:NoSettings", "makes no part. It needs an attribute Settings"),
        ("desk:text", "makes no part"),
    ],
)
def test_an_entry_point_that_cannot_be_used_names_its_package(
    install: Install, tmp_path: Path, value: str, said: str
) -> None:
    install("desk", {"signal_stream.guards": {"limit": value}})
    install("failing", {}, module="1 / 0\n")
    error = refused(tmp_path, '[[guard]]\nkind = "limit"\nlimit = 1.0\n')
    assert error.code == "PART"
    assert f'guard "limit" is {value} of desk 1.2, which {said}' in words(error)
    assert f"deployment.toml:{BEGINS + 1}  [[guard]] " in words(error)


def test_a_name_that_two_packages_have_is_refused_and_both_are_named(install: Install, tmp_path: Path) -> None:
    install("desk", {"signal_stream.guards": {"limit": "desk:Limit"}})
    install("other", {"signal_stream.guards": {"limit": "other:Limit"}}, version="3")
    said = words(refused(tmp_path, '[[guard]]\nkind = "limit"\nlimit = 1.0\n'))
    assert "there twice" in said
    assert "desk:Limit (desk 1.2)" in said
    assert "other:Limit (other 3)" in said


def test_a_package_cannot_replace_what_is_built_in(install: Install, tmp_path: Path) -> None:
    install("desk", {"signal_stream.sinks": {"file": "desk:Bus"}})
    found = load_deployment(deployment(tmp_path, '[[sink]]\nurl = "file://s.jsonl"\n'))
    assert type(found.sinks[0]).__module__ != "desk"


@pytest.mark.parametrize(
    ("keys", "line", "said"),
    [
        ("limit = 0", 1, "[[guard]] limit = 0 is not above 0"),
        ("limit = -1.5", 1, "[[guard]] limit = -1.5 is not above 0"),
        ('limit = "much"', 1, '[[guard]] limit = "much" is not a number'),
        ("limit = 1.0\nlimt = 2.0", 2, '[[guard]] unknown key "limt". Did you mean "limit"?'),
        ("", 0, '[[guard]] missing key "limit", which has no default'),
    ],
)
def test_wrong_settings_of_a_package_have_their_line(
    install: Install, tmp_path: Path, keys: str, line: int, said: str
) -> None:
    install("desk", {"signal_stream.guards": {"limit": "desk:Limit"}})
    error = refused(tmp_path, f'[[guard]]\nkind = "limit"\n{keys}\n')
    assert said in words(error)
    where = BEGINS if line == 0 else BEGINS + 1 + line
    assert f"deployment.toml:{where}" in words(error), words(error)


def test_a_part_that_cannot_be_made_is_a_line(install: Install, tmp_path: Path) -> None:
    module = MODULE.replace("self.limit = settings.limit", "raise ConnectionError('no route to host')")
    install("desk", {"signal_stream.guards": {"limit": "desk:Limit"}}, module=module)
    found: Any = load_deployment(deployment(tmp_path, '[[guard]]\nkind = "limit"\nlimit = 1.0\n'))
    with pytest.raises(
        SettingsError, match=r'guard "limit" could not be made: ConnectionError: no route to host'
    ) as made:
        parts.make("guard", found.own_guards[0])
    assert made.value.code == "PART"
