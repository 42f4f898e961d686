"""Every key of every section with values that make no sense: refused with file, line and key, or taken; never anything else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

import signal_stream as ss
from signal_stream import _core, parts
from signal_stream.errors import DataError, SettingsError
from signal_stream.settings import load_deployment
from signal_stream.settings.section_reader import LISTS, PARTS, SECTIONS
from signal_stream.settings.stack import StackDeployment, StackProcess, StackSettings

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

BASE = {
    "pipeline": 'name = "p"',
    "source": 'url = "file://a.parquet"\nqueue_rows = 10\nlateness = "0s"\nlate = "drop"',
    "model": 'ref = "m@live"',
    "guards": 'max_age = "1s"\ncompleteness = 1.0',
    "sink": 'url = "file://s.jsonl"',
    "journal": "",
    "tape": "",
    "metrics": "",
    "health": "",
    "grpc": "",
}
WEBSOCKET = 'venue = "okx"\nsymbols = ["BTC-USDT"]\nstale_after = "10s"\n'
SOURCES = {
    "file": BASE["source"],
    "stdin": BASE["source"].replace("file://a.parquet", "stdin:"),
    "kafka": BASE["source"].replace("file://a.parquet", "kafka://h:9092/t") + '\npayload = "event"',
    "wss": WEBSOCKET + BASE["source"].replace("file://a.parquet", "wss://h.example"),
}
SINKS = {"file": BASE["sink"], "kafka": 'url = "kafka://h:9092/t"\ntransactional_id = "p"'}
LONG = "x" * 10_000
VALUES = (
    "0", "-1", "1", f"1{'0' * 30}", "1.5", "-0.0", "nan", "inf", "true", "1979-05-27", '""', '" "', '"0s"', '"-1s"', '"1ns"',
    '"36525d"', '"99999999d"', '"5"', '"5 minutes"', f'"{LONG}"', r'"a\nb"', r'"a\u0000b"', r'"a\u202Eb"', '".."', '"/"', '"~"',
    '"file://"', '"file:///"', '"none"', "[]", '["a", "a"]', '[""]', "[1]", '[["a"]]', r'["a\nb"]', f'["{LONG}"]', "{}",
    f'"{"y" * 400}"', f'"file://{"y" * 400}.jsonl"', '{a = 1}',
)  # fmt: skip


def text_of(section: str, body: str) -> tuple[str, int]:
    """A file with this body of one section, and the number of the line before the body."""
    blocks, before = [], 0
    for name, own in BASE.items():
        head = f"[[{name}]]" if name in LISTS else f"[{name}]"
        if name == section:
            before = sum(block.count("\n") + 1 for block in blocks) + 1
        blocks.append(f"{head}\n{body if name == section else own}")
    return "\n".join(blocks) + "\n", before


def cases() -> list[tuple[str, str, str]]:
    """Section, its body as it should be, and one of its keys."""
    found = []
    for section, kind in SECTIONS.items():
        if section not in BASE:
            continue  # parts of one's own
        bodies = {"source": SOURCES, "sink": SINKS}.get(section, {"": BASE[section]})
        for part, body in bodies.items():
            role = section if section in ("source", "sink") else None
            keys = parts.factory(role, part).Settings.keys() if role else kind.keys()
            found += [(section, body, key) for key in keys]
    return found


def refused(folder: Path, text: str) -> SettingsError | None:
    path = folder / "deployment.toml"
    path.write_text(text)
    try:
        load_deployment(path)
    except SettingsError as error:
        return error
    return None


@pytest.mark.parametrize("section", BASE)
def test_absurd_values_are_refused_by_name_or_taken(tmp_path: Path, section: str) -> None:
    seen = 0
    for name, body, key in cases():
        if name != section:
            continue
        kept = "".join(f"{line}\n" for line in body.splitlines() if not line.startswith(f"{key} ="))
        for value in VALUES:
            text, before = text_of(section, f"{kept}{key} = {value}")
            error = refused(tmp_path, text)
            seen += 1
            if error is None:
                continue
            shown = str(error)
            last = before + kept.count("\n") + 1
            place = re.match(r".*deployment\.toml:(\d+) ", shown)
            assert place is not None, f"{key} = {value[:40]}: {shown[:300]}"
            assert before <= int(place[1]) <= last, f"{key} = {value[:40]}: {shown[:300]}"
            assert key in shown or "url" in (key, *shown.split()) or key == "kind", (
                f"{key} = {value[:40]}: {shown[:300]}"
            )
            assert len(shown) < 1_200, f"{key} = {value[:40]}: {shown[:300]} …"
            assert all(char.isprintable() or char == "\n" for char in shown), f"{key}: {shown[:300]!r}"
    assert seen >= 2 * len(VALUES)


def inner(kind: object) -> object:
    """What an annotated type annotates."""
    return getattr(kind, "__origin__", None)


BOUNDED = [
    (f"{kind.__module__.rpartition('.')[2]}.{name}", field)
    for kind in dict.fromkeys(
        [
            *SECTIONS.values(), StackSettings, StackDeployment, StackProcess,
            *(parts.factory(role, each).Settings for role in PARTS for each in parts.kinds(role)),
        ]
    )
    for name, field in kind.model_fields.items()
    if {int, float} & {field.annotation, *get_args(field.annotation), *map(inner, get_args(field.annotation))}
]  # fmt: skip
OF_THEIR_OWN = ("pace", "max_rejected")
"""A multiple and a share, which their types bound."""


@pytest.mark.parametrize(("key", "field"), dict(BOUNDED).items(), ids=list(dict(BOUNDED)))
def test_every_number_and_duration_says_the_most_that_it_may_be(key: str, field: FieldInfo) -> None:
    name = key.partition(".")[2]
    within = [each for kind in get_args(field.annotation) for each in getattr(kind, "__metadata__", ())]
    bounds = {type(each).__name__ for each in [*field.metadata, *within]}
    assert name in OF_THEIR_OWN or ("Within" if name.endswith("_ns") else "Le") in bounds, bounds


MUST = [
    ("source", BASE["source"] + '\nconflate = "latest"', "is for live sources; a recorded file waits until it is read"),
    ("source", SOURCES["wss"] + '\nconflate = "latest"\nwhen_full = "shed_oldest"', "leaves out what newer states replace"),
    ("guards", 'max_age = "401d"\ncompleteness = 1.0', 'max_age = "401d" is not a duration of at most "400d"'),
    ("guards", 'max_age = "400000000d"\ncompleteness = 1.0', "is not a duration of at most 100 years"),
    ("source", BASE["source"].replace("0s", "31d"), 'lateness = "31d" is not a duration of at most "30d"'),
    ("source", BASE["source"].replace("drop", "amend") + '\namend_within = "31d"', 'is not a duration of at most "30d"'),
    ("source", SOURCES["wss"].replace("10s", "25h"), 'stale_after = "25h" is not a duration of at most "1d"'),
    ("model", 'ref = "m@live"\ndeadline = "2h"', 'deadline = "2h" is not a duration of at most "1h"'),
    ("sink", BASE["sink"] + '\nlag_max = "31d"', 'lag_max = "31d" is not a duration of at most "30d"'),
    ("health", 'unit = "1d"\nold = 1e6', 'old = 1e+06 times unit = "1d" is more than "36525d"'),
    ("sink", 'url = "file://s.jsonl"\ngets = "amendments"', 'gets = "amendments", and [source] late = "drop" makes none'),
    ("sink", 'url = "file://a.parquet"', "is the file that the source reads"),
    ("journal", 'keep = "1ms"', 'keep = "1ms" is not a duration of at least "1m"'),
    ("tape", 'keep = "59s"', 'keep = "59s" is not a duration of at least "1m"'),
    ("journal", 'segment_age = "1ns"', 'is not a duration of at least "1s"'),
    ("source", BASE["source"] + '\nrecord = "/"', 'record = "/" is the root of the disk'),
    ("source", BASE["source"] + '\nrecord = ""', 'record = "" names nothing'),
    ("source", BASE["source"] + '\nrecord = "deployment.toml"', 'deployment.toml" is a file'),
    ("source", BASE["source"] + '\ninstruments = "."', 'is a folder'),
    ("source", SOURCES["kafka"] + '\nhistory = ["2999-01-01T00:00:00Z"]', "it would begin now, or later"),
    ("source", SOURCES["kafka"] + '\nhistory = ["0h"]', "it would begin now, or later"),
    ("source", SOURCES["stdin"] + '\nidle_mark = "1ns"', 'is not a duration of at least "1ms"'),
    ("source", BASE["source"] + '\npace = "99999999999x"', "is not"),
    ("pipeline", 'name = "p"\nstate = "x"\nregistry = "./x/"', 'is the state folder'),
    ("pipeline", 'name = "p"\nstate = "/"', "is the root of the disk"),
    ("model", 'ref = "../../m@live"', "is not"),
    ("model", r'ref = "m\n@live"', "ref holds a line end"),
    ("model", 'ref = "m@live"\ninstruments = ["A.X", "A.X"]', '"A.X" stands twice'),
    ("model", 'ref = "m@live"\ninstruments = [" A.X"]', '" A.X" begins or ends with white space'),
    ("model", r'ref = "m@live"' + '\n' + r'instruments = ["A\nX"]', "instruments holds a line end"),
    ("model", f'ref = "m@live"\ninstruments = ["{LONG[:201]}"]', "has more than 200 characters"),
    ("sink", r'url = "file://a\nb.jsonl"', "url holds a line end"),
]  # fmt: skip


@pytest.mark.parametrize(("section", "body", "told"), MUST, ids=[json.dumps(told) for *_, told in MUST])
def test_what_could_not_work_is_refused(tmp_path: Path, section: str, body: str, told: str) -> None:
    text, before = text_of(section, body)
    error = refused(tmp_path, text)
    assert error is not None
    assert told in " ".join(str(error).split())
    line = int(re.match(r".*deployment\.toml:(\d+) ", str(error))[1])  # type: ignore[index]
    assert before < line <= before + body.count("\n") + 1


def test_research_knows_the_same_bound_of_lateness() -> None:
    graph = ss.FeatureGraph(name="g", on=ss.trades, axis="event", features={"price": ss.trades.price})
    for terms in ({"lateness": "31d"}, {"lateness": "1s", "amend_within": "31d"}):
        with pytest.raises(DataError) as caught:
            ss.Engine(graph, **terms).push(_core.EventBatch.mark(1))
        assert 'at most "30d"' in caught.value.next_step
