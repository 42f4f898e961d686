"""Settings: API.md's file is read as written, and every mistake is named with file, line and the nearest key."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import signal_stream
from signal_stream.errors import SettingsError
from signal_stream.records import Fallback
from signal_stream.settings import Deployment, SinkSettings, TomlLines, environment, load_deployment

TEXT = """\
[pipeline]
name  = "btc_micro"
state = "state/"                     # journal, snapshots, latches

[source]
url         = "file://captures/spot.gz"     # also stdin:, later kafka://…, wss://…
pace        = "recorded"                    # "8x", "max"
queue_rows  = 65536
when_full   = "block"                       # "shed_oldest", "halt"
lateness    = "2s"
late        = "drop"                        # "amend", "refuse": required, no default

[[model]]
ref       = "btc_micro@live"
placement = "isolated"                      # or "in-process" for native kinds
deadline  = "5ms"
fallback  = "veto"                          # "last_valid", "constant:0.5"

[guards]
max_age      = "1s"
completeness = 1.0

[[sink]]
url = "file://signals.jsonl"
"""


def load(folder: Path, text: str) -> Deployment:
    path = folder / "deployment.toml"
    path.write_text(text)
    return load_deployment(path)


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


def test_the_documented_file(tmp_path: Path) -> None:
    read = load(tmp_path, TEXT)
    assert read.pipeline.name == "btc_micro"
    assert read.pipeline.state == tmp_path / "state"
    assert read.pipeline.registry == tmp_path / "registry"
    assert read.source.path == tmp_path / "captures/spot.gz"
    assert (read.source.pace, read.source.queue_rows, read.source.when_full) == (1.0, 65536, "block")
    assert (read.source.lateness_ns, read.source.late) == (2_000_000_000, "drop")
    assert (read.source.idle_mark_ns, read.source.record, read.source.follow) == (None, None, False)
    (model,) = read.models
    assert (model.ref, model.placement) == ("btc_micro@live", "isolated")
    assert (model.deadline_ns, model.fallback) == (5_000_000, "veto")
    assert (read.guards.max_age_ns, read.guards.completeness) == (1_000_000_000, 1.0)
    assert [sink.url for sink in read.sinks] == [f"file://{tmp_path}/signals.jsonl"]
    assert (read.journal.fsync, read.journal.fsync_interval_ns) == ("interval", 1_000_000_000)


def test_what_may_be_left_out(tmp_path: Path) -> None:
    text = TEXT
    for line in (
        'state = "state/"',
        'pace        = "recorded"',
        'when_full   = "block"',
        'url = "file://signals',
    ):
        text = re.sub(rf"^{re.escape(line)}.*\n", "", text, flags=re.MULTILINE)
    for line in ('deadline  = "5ms"', 'fallback  = "veto"', 'placement = "isolated"', "[[sink]]"):
        text = re.sub(rf"^{re.escape(line)}.*\n", "", text, flags=re.MULTILINE)
    read = load(tmp_path, text)
    assert read.models[0].deadline_ns is None
    assert read.models[0].fallback is None
    assert read.sinks == ()


def test_amending_needs_a_horizon_and_a_place_for_amendments(tmp_path: Path) -> None:
    late, within = 'late        = "drop"', 'late = "amend"\namend_within = "5m"'
    sink = '\n[[sink]]\nurl = "file://{}"\ngets = "amendments"\n'
    read = load(tmp_path, changed(late, within) + sink.format("amendments.jsonl"))
    assert (read.source.late, read.source.amend_within_ns) == ("amend", 300_000_000_000)
    assert [each.gets for each in read.sinks] == ["signals"] * (len(read.sinks) - 1) + ["amendments"]
    for text, told in (
        (changed(late, 'late = "amend"'), 'late = "amend" needs amend_within'),
        (changed(late, late + '\namend_within = "5m"'), 'and late is "drop"'),
    ):
        with pytest.raises(SettingsError, match=re.escape(told)):
            load(tmp_path, text)
    for place in ('file://x.arrow"', 'kafka://a:1/b"\ntransactional_id = "t"'):
        load(tmp_path, changed(late, within) + sink.format("x").replace('file://x"', place))
    [problem] = SinkSettings(url="tcp://own", gets="amendments").problems()
    assert "is for files and topics" in problem.message


def test_the_rest_of_the_keys(tmp_path: Path) -> None:
    text = changed('pace        = "recorded"', 'pace = "max"\nidle_mark = "250ms"\nrecord = "out/day.parquet"')
    text = text.replace('"file://captures/spot.gz"', '"stdin:"') + '[journal]\nfsync = "always"\n'
    read = load(tmp_path, text)
    assert (read.source.pace, read.source.idle_mark_ns) == (math.inf, 250_000_000)
    assert (read.source.record, read.source.url) == (tmp_path / "out/day.parquet", "stdin:")
    assert read.journal.fsync == "always"


def test_the_tree_is_frozen(tmp_path: Path) -> None:
    read = load(tmp_path, TEXT)
    with pytest.raises(ValidationError):
        read.guards.max_age_ns = 5


MISTAKES = [
    (
        ("lateness    =", "latenes    ="),
        ("UNKNOWN_KEY", 10, '[source] unknown key "latenes" (1 more in this file). Did you mean "lateness"?'),
    ),
    (
        ("[guards]", "[gaurds]"),
        ("UNKNOWN_KEY", 19, 'unknown section [gaurds] (1 more in this file). Did you mean "guards"?'),
    ),
    (
        ("placement =", "queue_rows ="),
        ("UNKNOWN_KEY", 15, '[[model]] unknown key "queue_rows". It belongs in [source].'),
    ),
    (
        ('late        = "drop"', ""),
        (
            "MISSING_KEY",
            5,
            '[source] missing key "late", which has no default. One of "drop", "amend", "refuse".',
        ),
    ),
    (
        ("queue_rows  = 65536", ""),
        ("MISSING_KEY", 5, '[source] missing key "queue_rows", which has no default.'),
    ),
    (
        ('max_age      = "1s"', ""),
        ("MISSING_KEY", 19, '[guards] missing key "max_age", which has no default.'),
    ),
    (
        ("completeness = 1.0", ""),
        ("MISSING_KEY", 19, '[guards] missing key "completeness", which has no default.'),
    ),
    (
        ('"drop" ', '"keep" '),
        ("BAD_VALUE", 11, '[source] late = "keep" is not one of "drop", "amend", "refuse".'),
    ),
    (
        ('"1s"', "1"),
        ("BAD_VALUE", 20, '[guards] max_age = 1 is not a duration with its unit in quotes, such as "100ms".'),
    ),
    (('"1s"', '"0s"'), ("BAD_VALUE", 20, '[guards] max_age = "0s" is not a duration above zero.')),
    (
        ('"5ms"', '"5 minutes"'),
        (
            "BAD_VALUE",
            16,
            '[[model]] deadline = "5 minutes" is not a duration such as "5m" (units ns us ms s m h d).',
        ),
    ),
    (("= 1.0", "= 1.5"), ("BAD_VALUE", 21, "[guards] completeness = 1.5 is not at most 1.0.")),
    (("= 1.0", "= true"), ("BAD_VALUE", 21, "[guards] completeness = true is not a number.")),
    (("= 65536", '= "many"'), ("BAD_VALUE", 8, '[source] queue_rows = "many" is not a whole number.')),
    (("= 65536", "= 0"), ("BAD_VALUE", 8, "[source] queue_rows = 0 is not at least 1.")),
    (
        ('"recorded" ', '"fast" '),
        ("BAD_VALUE", 7, '[source] pace = "fast" is not "recorded", "max" or a multiple such as "8x".'),
    ),
    (
        ('"veto" ', '"rule:x" '),
        (
            "BAD_VALUE",
            17,
            '[[model]] fallback = "rule:x" is not "veto", "last_valid" or "constant:" with a number.',
        ),
    ),
    (
        ('"btc_micro@live"', '"btc_micro"'),
        ("BAD_VALUE", 14, '[[model]] ref = "btc_micro" is not "name@version", "name@live" or "name@latest".'),
    ),
    (
        ('"btc_micro@live"', '"btc_micro@live"\ninstruments = []'),
        ("BAD_VALUE", 15, '[[model]] instruments = [] is not "any" or a list of instrument ids.'),
    ),
    (
        ('"btc_micro@live"', '"btc_micro@live"\ninstruments = "all"'),
        ("BAD_VALUE", 15, '[[model]] instruments = "all" is not "any" or a list of instrument ids.'),
    ),
    (
        ("file://captures", "http://captures"),
        (
            "UNKNOWN_PART",
            6,
            '[source] url = "http://captures/spot.gz": no source is named "http". Known are: file, kafka, merged, stdin, ws, wss.'
            " Others come with a package that has an entry point signal_stream.sources.",
        ),
    ),
    (
        ("file://signals.jsonl", "amqp://bus"),
        (
            "UNKNOWN_PART",
            24,
            '[[sink]] url = "amqp://bus": no sink is named "amqp". Known are: file, kafka. '
            "Others come with a package that has an entry point signal_stream.sinks.",
        ),
    ),
    (
        ("[[sink]]", '[[sink]]\nurl = "file://./out/../signals.jsonl"\n[[sink]]'),
        ("BAD_VALUE", 26, '[[sink]] url = "file://signals.jsonl" stands twice.'),
    ),
    (
        ("[[sink]]", '[[sink]]\nurl = "file://signals.jsonl"\n[[sink]]'),
        ("BAD_VALUE", 26, '[[sink]] url = "file://signals.jsonl" stands twice.'),
    ),
    (
        ("[[model]]", '[metrics]\nlisten = "metrics.example:9100"\n[[model]]'),
        (
            "BAD_VALUE",
            14,
            '[metrics] listen = "metrics.example:9100" is not an IP address and a port such as "127.0.0.1:9100".',
        ),
    ),
    (
        ("[[model]]", "[metrics]\nlisten = 9100\n[[model]]"),
        ("BAD_VALUE", 14, "[metrics] listen = 9100 is not text in quotes."),
    ),
    (
        ("[[model]]", '[metrics]\nlistne = "127.0.0.1:9100"\n[[model]]'),
        ("UNKNOWN_KEY", 14, '[metrics] unknown key "listne". Did you mean "listen"?'),
    ),
    (
        ("[[model]]", '[metrics]\nlisten = "10.0.0.1:9100"\n[[model]]'),
        (
            "BAD_VALUE",
            14,
            '[metrics] listen = "10.0.0.1:9100" would show the pipeline to other machines, over plain HTTP to whoever asks. '
            'Write "127.0.0.1:9100", and have what scrapes it run here, or a proxy with TLS in front of it.',
        ),
    ),
    (
        ("[[model]]", "[model]"),
        ("BAD_VALUE", 13, "[[model]] is not a list of sections: write it as [[…]]."),
    ),
    (
        ("[[model]]", '[metrics]\nlisten = "127.0.0.1:9100"\n[grpc]\nlisten = "localhost:9100"\n[[model]]'),
        (
            "BAD_VALUE",
            16,
            '[grpc] listen = "localhost:9100" is where [metrics] listens. Give each a port of its own.',
        ),
    ),
    (
        ("[pipeline]\n", "[pipeline\n"),
        ("SYNTAX", 1, "not TOML: Expected ']' at the end of a table declaration."),
    ),
]


@pytest.mark.parametrize(("change", "expected"), MISTAKES, ids=[repr(change[1]) for change, _ in MISTAKES])
def test_a_mistake_is_named(tmp_path: Path, change: tuple[str, str], expected: tuple[str, int, str]) -> None:
    code, line, message = expected
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, changed(*change))
    assert " ".join(str(caught.value).split()) == f"{tmp_path}/deployment.toml:{line} {message}"
    assert caught.value.code == code


def test_an_empty_file_and_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"deployment.toml:1  missing section \[pipeline\] \(3 more"):
        load(tmp_path, "")
    with pytest.raises(SettingsError) as caught:
        load_deployment(tmp_path / "none.toml")
    assert caught.value.code == "NOT_FOUND"
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError) as caught:
        load_deployment(tmp_path / "bytes.toml")
    assert caught.value.code == "UNREADABLE"


def test_lines_are_found_through_every_kind_of_value() -> None:
    text = '''\
top = 1 # [not] a table
[a."b c"]  # comment with "quotes
x = """
[fake]
y = 1 """
z = \'\'\'
w = 2\'\'\'
list = [ 1, # ]
  { k = "]" },
]
'q.r'.s = "a \\" # b"
t = { u = 1, v = [2] }
[[m]]
k = 1
[[m]]
k = 2
[m.sub]
last = 1979-05-27T07:32:00Z'''
    tomllib.loads(text)
    lines = TomlLines(text)
    expected = {
        ("top",): 1,
        ("a", "b c"): 2,
        ("a", "b c", "x"): 3,
        ("a", "b c", "z"): 6,
        ("a", "b c", "list"): 8,
        ("a", "b c", "q.r", "s"): 11,
        ("a", "b c", "t"): 12,
        ("a", "b c", "t", "u"): 12,
        ("m", 0): 13,
        ("m", 0, "k"): 14,
        ("m", 1, "k"): 16,
        ("m", "sub", "last"): 18,
        ("nowhere",): 1,
    }
    assert {where: lines.line(where) for where in expected} == expected


@given(st.text(alphabet="ab=.[]{}\"'#\\\n, 1", max_size=60))
def test_the_scanner_survives_all_valid_toml(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = TomlLines(text)
    for key, value in data.items():
        if not isinstance(value, dict | list):
            line = text.split("\n")[lines.line((key,)) - 1]
            assert key in line or "\\" in line or not key


FALLBACKS = (
    "veto",
    "last_valid",
    "constant:0.5",
    "constant:-1e-3",
    "constant:.5",
    "constant:1.",
    "constant:+2",
)
NO_FALLBACKS = (
    *("", "zero", "constant:", "constant:nan", "constant:inf", "constant:1e999", "constant:1_0", "veto "),
    *("constant: 1", "CONSTANT:1", "constant:0x1", "last_valid:1", "constant:٣"),
)


@pytest.mark.parametrize("text", FALLBACKS)
def test_manifest_and_deployment_allow_the_same_fallbacks(tmp_path: Path, text: str) -> None:
    Fallback.parse(text)
    assert load(tmp_path, changed('"veto" ', f'"{text}" ')).models[0].fallback == text


@pytest.mark.parametrize("text", NO_FALLBACKS)
def test_manifest_and_deployment_refuse_the_same_fallbacks(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="last_valid"):
        Fallback.parse(text)
    with pytest.raises(SettingsError):
        load(tmp_path, changed('"veto" ', f'"{text}" '))


def test_the_environment_is_read_here_and_nowhere_else() -> None:
    assert environment({}).deployment == Path("deployment.toml")
    assert environment({"SIGNAL_STREAM_DEPLOYMENT": "a/b.toml"}).deployment == Path("a/b.toml")
    package = Path(signal_stream.__path__[0])
    readers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\benviron\b|\bgetenv\b", path.read_text())
    }
    assert readers == {"settings/environment.py"}


def test_the_deployment_file_of_the_readme_is_one(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    path = tmp_path / "deployment.toml"
    path.write_text(readme.partition("```toml\n")[2].partition("```")[0])
    assert load_deployment(path).guards.max_age_ns == 2_000_000_000
