"""Writes docs/reference/ from the code: `make docs`, or `python -m docs.build` in the repository's folder.

Nothing here depends on clock, machine or terminal: the same code gives the same bytes, and a test fails when the pages that are
committed are not those of the code.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import types
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args, get_origin

ROOT: Final = Path(__file__).resolve().parents[1]
REFERENCE: Final = ROOT / "docs" / "reference"
sys.path.insert(0, str(ROOT / "python"))

Lines = Iterator[str]


def operators() -> Lines:
    """Docstrings of everything that a feature can be made of."""
    import signal_stream as ss
    from signal_stream.features import (
        BarStream,
        BookStream,
        CrossSection,
        Ewm,
        Instrument,
        Level,
        QuoteStream,
        Rolling,
        Session,
        TradeStream,
    )

    yield "What they mean to the last bit, with formulas, units and worked tables, is in [specs/](../../specs/README.md)."
    yield "Values are 64-bit floats; an invalid value is null and has a [reason](reasons.md)."
    yield ""
    yield "Beside the names below an expression takes `+ - * /`, `% **`, unary `-`, `< <= > >= == !=` (1 or 0), `& | ~` and `abs()`."
    for title, made, kind in (
        ("Expressions", "x", ss.Expression),
        ("Rolling windows", 'x.rolling(60) or x.rolling("30s")', Rolling),
        ("Exponential weights", "x.ewm(span=26)", Ewm),
        ("Across instruments", "cross(x)", CrossSection),
        ("The book", "book", BookStream),
        ("Best quotes", "quotes", QuoteStream),
        ("A level", "book.bid(1), quotes.ask", Level),
        ("Trades", "trades", TradeStream),
        ("Bars", 'bars("1m"), bars(ticks=500)', BarStream),
        ("Sessions", 'session("XNYS")', Session),
        ("Another instrument", 'instrument("BTCUSDT-PERP.BINANCE")', Instrument),
    ):
        yield from _heading(title)
        yield f"`{made}`"
        yield ""
        yield from _text(kind)
        for name, member in sorted(_public(kind)):
            yield from ("", *_entry(name, member))
    yield from _heading("Functions")
    for name in ss.__all__:
        function = getattr(ss, name)
        if inspect.isfunction(function) and function.__module__.startswith("signal_stream.features"):
            yield from (*_entry(name, function), "")


def _public(kind: type) -> Iterator[tuple[str, object]]:
    for name in dir(kind):
        member = inspect.getattr_static(kind, name)
        if not name.startswith("_") and isinstance(member, types.FunctionType | property):
            yield name, member


def _entry(name: str, member: object) -> Lines:
    signature = ""
    if inspect.isfunction(member):
        shown = inspect.signature(member)
        kept = [
            each.replace(annotation=inspect.Parameter.empty)
            for each in shown.parameters.values()
            if each.name != "self"
        ]
        signature = str(shown.replace(parameters=kept, return_annotation=inspect.Signature.empty))
    yield f"### `{name}{signature}`"
    yield ""
    yield from _text(member)


def _text(documented: object) -> Lines:
    """A docstring as Markdown: its examples become code."""
    text = inspect.getdoc(documented)
    assert text, f"{documented!r} has no docstring"
    example = False
    for line in text.splitlines():
        if line.startswith(">>> ") and not example:
            example = True
            yield "```python"
        elif not line and example:
            example = False
            yield "```"
        yield line
    if example:
        yield "```"


def errors() -> Lines:
    """The closed set of errors."""
    from signal_stream import errors as module

    yield "Every error that is raised on purpose. `code` never changes; texts may. All are `SignalStreamError`, with `code`,"
    yield "`message`, `where`, `value`, `next_step` and `exit_code` (see [exit codes](../exit-codes.md))."
    last = ""
    for row in module.list_all_errors():
        kind = getattr(module, row.error)
        if row.error != last:
            yield from _heading(row.error)
            yield from _text(kind)
            yield f"Exit code {kind.exit_code}."
            yield from ("", "| code | meaning |", "|---|---|")
            last = row.error
        yield f"| `{row.code}` | {_cell(row.meaning)} |"


def settings() -> Lines:
    """The deployment file, key by key."""
    from signal_stream import parts
    from signal_stream import settings as module
    from signal_stream.settings import section_reader, stack

    yield "The file that `signal-stream serve` reads. Unknown keys are errors that name the nearest valid one. Durations"
    yield 'have their unit in quotes ("100ms", "2s", "1m"); paths are relative to the file\'s folder.'
    for name, section in section_reader.SECTIONS.items():
        title, _, about = (inspect.getdoc(section) or "").partition(": ")
        yield from _heading(title)
        yield about[:1].upper() + about[1:]
        yield from _keys(section, without=())
        kinds = parts.kinds(cast("parts.Role", name)) if name in section_reader.PARTS else []
        # One part may have several names.
        for own in dict.fromkeys(parts.factory(cast("parts.Role", name), kind).Settings for kind in kinds):
            title, _, about = (inspect.getdoc(own) or "").partition(": ")
            yield from ("", f"### {title.rstrip('.')}", "")
            yield about[:1].upper() + about[1:] if about else "Beside the keys above:"
            yield from _keys(own, without=section.model_fields)
    yield from _heading("The stack file")
    yield "What `signal-stream up` reads: `stack.toml`, with paths relative to its folder. A part of it is a `[[deployment]]`"
    yield "or a `[[process]]`."
    for section in (stack.StackSettings, stack.StackDeployment, stack.StackProcess):
        title, _, about = (inspect.getdoc(section) or "").partition(": ")
        yield from ("", f"### {title}", "", about[:1].upper() + about[1:])
        yield from _keys(section, without=())
    yield from _heading("Environment")
    documented = _field_docs(module.Environment)
    yield f"`{module.DEPLOYMENT_VARIABLE}`: {documented['deployment'][1]}"


def _keys(section: Any, *, without: Collection[str]) -> Lines:
    """A table of a section's keys."""
    documented = _field_docs(section)
    listed: dict[str, list[str]] = section.listed() if hasattr(section, "listed") else {}
    if set(section.model_fields) <= set(without):
        return
    yield from ("", "| key | value | default | meaning |", "|---|---|---|---|")
    for name, key in section.model_fields.items():
        if name in without:
            continue
        annotation, doc = documented[name]
        if name in listed:
            doc = f"{doc.rstrip('.')}: {', '.join(f'`{each}`' for each in listed[name])}."
        default = (
            "required"
            if key.is_required()
            else "absent"
            if key.default in (None, "", ())
            else f"`{_toml(key, annotation)}`"
        )
        yield f"| `{key.alias or name}` | {_cell(_allowed(key, annotation))} | {default} | {_cell(doc)} |"


def _field_docs(kind: type) -> dict[str, tuple[str, str]]:
    """Annotation and docstring of each field of a class and its bases: the text that stands below a field."""
    found = {}
    for each in reversed(kind.__mro__):
        if not each.__module__.startswith("signal_stream"):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in zip(definition.body, [*definition.body[1:], None], strict=True):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and below.value.value
                found[field.target.id] = (ast.unparse(field.annotation), str(text or ""))
    return found


def _allowed(key: Any, annotation: str) -> str:
    kind = key.annotation
    if get_origin(kind) is Literal:
        return ", ".join(f'`"{each}"`' for each in get_args(kind))
    if bounds := _within(key):
        least = "above zero" if bounds.least == "1ns" else f'at least `"{bounds.least}"`'
        least = "" if bounds.least == "0s" else f"{least}, "
        return f'duration, {least}at most `"{bounds.most}"`'
    plain = {"Name": "name", "Ref": 'text: `"name@version"`, `"name@live"`, `"name@latest"`'}
    if annotation in plain:
        return plain[annotation]
    if annotation.startswith(("tuple[str", "tuple[Literal")):
        return "list of texts"
    names = {"bool": "true or false", "int": "whole number", "float": "number", "Path": "path", "str": "text"}
    word = next((text for name, text in names.items() if re.search(rf"\b{name}\b", annotation)), annotation)
    if annotation == "Share":
        return 'share: `"1%"`, `0.01`'
    if annotation == "Pace":
        return 'text: `"recorded"`, `"8x"`, `"max"`'
    if annotation.startswith("Instruments"):
        return 'list of instrument ids, or `"any"`'
    if annotation.startswith("FallbackText"):
        return 'text: `"veto"`, `"last_valid"`, `"constant:0.5"`'
    words = {"Ge": "at least", "Gt": "above", "Le": "at most"}
    bounds = [f"{words[type(m).__name__]} {next(iter(_numbers(m)))}" for m in key.metadata if type(m).__name__ in words]
    return ", ".join([word, *bounds])


def _within(key: Any) -> Any:
    """The bounds of a duration, or None. Beside None they stand within its type."""
    inner = [each for kind in get_args(key.annotation) for each in getattr(kind, "__metadata__", ())]
    return next((each for each in [*key.metadata, *inner] if type(each).__name__ == "Within"), None)


def _numbers(bound: object) -> tuple[Any, ...]:
    return tuple(getattr(bound, name) for name in ("ge", "gt", "le") if hasattr(bound, name))


def _toml(key: Any, annotation: str) -> str:
    from signal_stream.durations import duration_text

    value = key.default
    if _within(key) is not None:
        return f'"{duration_text(value)}"'
    if annotation == "Pace":
        return {1.0: '"recorded"'}.get(value, f'"{value}x"')
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(f'"{each}"' for each in value) + "]"
    return str(value) if isinstance(value, int | float) else f'"{value}"'


def commands() -> Lines:
    """What `--help` says, command by command, for a page rather than a terminal."""
    from signal_stream.commands import program

    yield "`signal-stream COMMAND --help` says the same. [Exit codes](../exit-codes.md)."
    yield from _command(program(), ("signal-stream",))


def _command(command: Any, path: tuple[str, ...]) -> Lines:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from _command(inner, (*path, name))
        return
    context = command.make_context(path[-1], [], resilient_parsing=True)
    yield from _heading(" ".join(path))
    yield f"    {' '.join((*path, *command.collect_usage_pieces(context)))}"
    yield ""
    yield inspect.cleandoc(command.help or "")
    parameters = [each for each in command.params if not getattr(each, "hidden", False)]
    if parameters:
        yield from ("", "| argument or option | default | meaning |", "|---|---|---|")
    for each in parameters:
        argument = each.param_type_name == "argument"
        name = (each.metavar or str(each.name).upper()) if argument else _option(each)
        default = "required" if each.required else "" if each.default in (None, False, (), []) else f"`{each.default}`"
        yield f"| `{name}` | {default} | {_cell(getattr(each, 'help', None) or '')} |"
    if command.epilog:
        for part in command.epilog.split("\n\n"):
            first, _, example = part.rpartition("signal-stream ")
            ending = part.startswith("Exit: ")
            yield from ("", part if ending else f"{first}`signal-stream {example}`")


def _option(option: Any) -> str:
    names = ", ".join(sorted([*option.opts, *option.secondary_opts], key=len))
    return names if option.is_flag else f"{names} {option.metavar or str(option.name).upper()}"


def reasons() -> Lines:
    """Why values are invalid and signals vetoed."""
    from signal_stream.guards import CODES

    yield "A feature that is invalid is null and has one of these reasons. The codes are part of snapshots and vector digests."
    yield from ("", "| code | reason | meaning |", "|---|---|---|")
    source = (ROOT / "crates" / "runtime" / "src" / "reason.rs").read_text()
    found = re.findall(r'/// ([^\n]*)\n\s*\w+ = (\d+) "(\w+)",', source)
    assert found, "reason.rs has another form now"
    for meaning, code, name in found:
        yield f"| {code} | `{name}` | {_cell(meaning)} |"
    yield from _heading("Verdicts")
    yield "A signal is PASS, or VETO (HALT if it also latches) with one or more of these codes. A PASS with a model's code"
    yield "carries the declared fallback."
    yield from ("", "| code | meaning |", "|---|---|")
    for name, meaning in CODES.items():
        yield f"| `{name}` | {_cell(meaning)} |"


def metrics() -> Lines:
    """What a pipeline shows to others."""
    from signal_stream.monitor.events import EVENTS
    from signal_stream.monitor.exposition import EVENTS_NAME, EVENTS_TEXT
    from signal_stream.monitor.model_metrics import MODEL, STAGE_NAME, STAGE_TEXT
    from signal_stream.monitor.pipeline_metrics import ALWAYS, PIPELINE
    from signal_stream.monitor.rules import alerts
    from signal_stream.monitor.watched import WatchedModel

    yield "Served at `/metrics` of [`[metrics] listen`](settings.md); [monitoring](../monitoring.md) says how. Each metric has the label"
    yield "`pipeline`. Counters of signals and codes count over all restarts, all others since the process began."
    for title, made in (("Of the pipeline", (*ALWAYS, *PIPELINE)), ("Of each model", MODEL)):
        yield from _heading(title)
        yield from ("| metric | kind | labels | meaning |", "|---|---|---|---|")
        for each in made:
            labels = ", ".join(f"`{name}`" for name in each.labels)
            yield f"| `{each.name}` | {each.kind} | {labels} | {_cell(each.text)} |"
        if made is MODEL:
            yield f"| `{STAGE_NAME}` | histogram | `stage` | {STAGE_TEXT} |"
    yield from _heading("Events")
    yield "Each is one line of the gateway's log, with `timestamp` (UTC), `level`, `event`, `code` (the event in capitals), `pipeline`,"
    yield f"`model` where it concerns one, and the fields below; and one more in `{EVENTS_NAME}`. {EVENTS_TEXT}"
    yield from ("", "| event | level | fields | meaning |", "|---|---|---|---|")
    for kind in EVENTS:
        fields = ", ".join(f"`{name}`" for name in kind().said())
        yield f"| `{kind.kind}` | {kind.level} | {fields} | {_cell(inspect.getdoc(kind) or '')} |"
    yield from _heading("Alerts")
    yield "Of each model, by `signal-stream boards`. Those of the topics freshness and schema page the model's owner; all others are"
    yield "tickets."
    yield from ("", "| alert | topic | when | must be so for |", "|---|---|---|---|")
    for alert in alerts(WatchedModel("P", "M", "M@1", "ada", "up", "live", 3.1, 1.0)):
        yield f"| `{alert.name}` | {alert.topic} | `{_cell(alert.expr)}` | {alert.wait} |"


NAMES: Final = {
    "BINANCE_FUTURES": "Binance USD-M",
    "COINBASE": "Coinbase",
    "DERIBIT": "Deribit",
    "INDEPENDENT_RESERVE": "Independent Reserve",
    "KRAKEN": "Kraken",
    "KUCOIN": "KuCoin",
    "OKX": "OKX",
}
"""Venues of the recordings."""


def connections() -> Lines:
    """What faults of a connection do to a venue's book."""
    import json

    path = "tests/data/connections/faults.json"
    yield "Each venue's script against its emulator on real sockets, with recorded frames (of our own making for Bybit and Hyperliquid), and"
    yield "one fault in the middle. [A venue's WebSocket](../websockets.md) says what is done about each."
    yield f"`tests/simulation/test_venue_scripts.py` makes the figures, which stand in `{path}`."
    yield ""
    yield "- *seen*: the reason of the first invalid best price behind the fault; *after*: with which of the messages that could show it;"
    yield "- *wrong reads*: events at which the book could be read and one of its five best levels was not the venue's."
    yield "- Each run ended with the venue's book, as a plain dictionary has it."
    yield ""
    yield "| venue | fault | seen | after | wrong reads |"
    yield "|---|---|---|---|---|"
    for row in json.loads((ROOT / path).read_text()):
        seen = f"`{row['seen']}`" if row["seen"] else "–"
        yield f"| `{row['venue']}` | {row['fault']} | {seen} | {row['after'] or '–'} | {row['wrong']} |"


def books() -> Lines:
    """What faults of a feed do to real books."""
    import json

    path = "tests/data/books/faults.json"
    lines = json.loads((ROOT / path).read_text())
    yield "Real frames of seven venues, one fault in each of many places of every recording, and a feed that answers a book that"
    yield "cannot be read with a snapshot three messages later. [specs/book.md](../../specs/book.md) says what the rules are;"
    yield f"`crates/market/tests/all/faults.rs` makes the figures, which stand in `{path}`."
    yield from (
        "",
        "- *noticed*: runs in which the book became invalid; *after*: most messages until it was, from the first that could show the fault;",
        "- *wrong reads*: messages after which the book could be read though its ten best levels were not the venue's;",
        "- *right*: runs that ended with the venue's book, level by level, as a plain book of maps has it;",
        "- *unseen*: runs that ended with a book that can be read and is wrong beyond its ten best levels. Where a venue sends no ids, a",
        "  loss shows only in a checksum, which covers the best levels: it is noticed when the level comes up.",
        "",
        "| venue | fault | runs | noticed | after | wrong reads | right | unseen |",
        "|---|---|---|---|---|---|---|---|",
    )
    for line in lines:
        venue = NAMES[line["venue"]]
        cells = [line[key] for key in ("runs", "noticed", "events_to_invalid_max", "wrong_reads", "right", "unseen")]
        yield f"| {venue} | {line['fault']} | {' | '.join(str(cell) for cell in cells)} |"


def history() -> Lines:
    """What history does to a window."""
    figures = _figures("history")
    libraries, statistics = list(figures["ns"]), list(figures["found"][0]["found"])
    yield "A window should depend on the rows that it holds, and on nothing else. Sums to which the newest row is added and from which the"
    yield "oldest is taken keep rounding errors of every row that they have seen: of one bad tick, of a level that is long past. Here rolling"
    yield f"{', '.join(statistics)} over {figures['window']} rows are compared with the same statistics in exact rational arithmetic, at rows"
    yield f"whose windows hold nothing of the disturbance any more. There are {figures['rows']:,} rows, at 100 with steps of 0.005. An error is the"
    yield f"worst of {figures['compared']} rows, over the larger of the exact value and its usual size, so that a skewness near 0 does not make it large."
    yield from ("", "![errors of each library after each disturbance](../history.png)", "")
    yield _versions_of(figures)
    stories = list(dict.fromkeys(each["story"] for each in figures["found"]))
    for story in stories:
        yield from _heading(story[0].upper() + story[1:])
        start = story.startswith("a start")
        if start:
            yield from ("Share of values, of all rows, that differ in a bit from those of the run from the beginning.", "")
        yield from (f"| library | {' | '.join(statistics)} |", "|---" * (1 + len(statistics)) + "|")
        for each in figures["found"]:
            if each["story"] == story:
                cells = [(f"{x:.1%}" if x else "0") if start else _error(x) for x in each["found"].values()]
                yield f"| {each['library']} | {' | '.join(cells)} |"
    yield from _heading("What a value costs")
    yield from ("| library | ns a value, in a batch |", "|---|---|")
    yield from (f"| {name} | {figures['ns'][name]:.1f} |" for name in libraries)


def speeds() -> Lines:
    """What each operator costs."""
    figures = _figures("operators")
    ways = {"event": ("ours", "screamer", "TA-Lib", "csp"), "batch": ("ours", "screamer", "TA-Lib", "polars")}
    yield "Nanoseconds, the least of several rounds on one thread; an empty cell where a library has no such function. Conventions"
    yield "differ in places (population deviation, seeds of exponential means): the work is the same, not each number."
    yield from (
        "",
        "- *An event*: one call from Python. Ours is `Engine.bind` of a graph with this feature alone, screamer's a functor, TA-Lib's a",
        f"  stream. A graph calls once for all its features: a call with a field and no operator takes {figures['call']:.0f}. csp has no call of an",
        "  event: it runs over a native curve, and the time is over its events.",
        "- *A value of a batch*: ours is what the operator adds to a graph that `compute` runs over a table and that has as features what",
        f"  the operator reads; rows are read once for all features of a graph ({figures['row']:.0f} a row with one field). Less than {figures['least']:.0f} is not",
        "  told from noise. screamer, TA-Lib and polars: over whole columns in memory.",
        "",
    )
    yield _versions_of(figures)
    for family in dict.fromkeys(each["family"] for each in figures["costs"]):
        yield from _heading(family[0].upper() + family[1:])
        heads = [f"{name}, {'an event' if way == 'event' else 'a value'}" for way, names in ways.items() for name in names]
        yield from (f"| operator | {' | '.join(heads)} |", "|---" + "|---:" * len(heads) + "|")
        for each in figures["costs"]:
            if each["family"] == family:
                cells = [
                    _ns(each[way].get(name), figures["least"] if (way, name) == ("batch", "ours") else 1.0)
                    for way, names in ways.items()
                    for name in names
                ]
                yield f"| `{each['name']}` | {' | '.join(cells)} |"


def _figures(name: str) -> dict[str, Any]:
    """What `python -m benches.pages` kept of a run."""
    import json

    found: dict[str, Any] = json.loads((ROOT / "docs" / "figures" / f"{name}.json").read_text())
    return found


def _versions_of(figures: dict[str, Any]) -> str:
    machine, peers = figures["machine"], figures["peers"]
    versions = ", ".join(f"{name} {version}" for name, version in peers.items())
    return (
        f"Measured in one run beside {versions}, on one core of {machine['cpu']} with other work beside it (load {machine['load'][0]:.0f}).\n"
        "Believe ratios; `python -m benches --only operators --only history` runs it on your machine."
    )


def _error(x: float) -> str:
    return "no number" if x == float("inf") else "0" if x == 0 else f"{x:.0e}" if x < 0.01 else f"{x:.2g}"


def _ns(x: float | None, least: float) -> str:
    return "" if x is None else f"< {least:.0f}" if x <= least else f"{x:.1f}" if x < 10 else f"{x:,.0f}"


def _heading(title: str) -> Lines:
    yield from ("", f"## {title}", "")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


PAGES: Final[dict[str, tuple[str, Callable[[], Lines]]]] = {
    "operators": ("Operators", operators),
    "errors": ("Errors", errors),
    "settings": ("The deployment file", settings),
    "commands": ("Commands", commands),
    "reasons": ("Reasons and verdicts", reasons),
    "metrics": ("Metrics, events and alerts", metrics),
    "books": ("Books under faults", books),
    "connections": ("Connections under faults", connections),
    "history": ("What history does to a window", history),
    "speeds": ("What operators cost", speeds),
}


def pages() -> dict[str, str]:
    """File name and text of each page."""
    note = "<!-- Made by `make docs` from the code. Change the code, not this page. -->"
    made = {}
    for name, (title, lines) in PAGES.items():
        text = "\n".join([f"# {title}", "", note, "", *lines()])
        made[f"{name}.md"] = re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
    return made


def main() -> None:
    """Writes the pages and removes what no longer is one."""
    REFERENCE.mkdir(parents=True, exist_ok=True)
    made = pages()
    for page in REFERENCE.glob("*.md"):
        if page.name not in made:
            page.unlink()
    for name, text in made.items():
        (REFERENCE / name).write_text(text)
        print(f"docs/reference/{name}  {text.count(chr(10)):,} lines")


if __name__ == "__main__":
    main()
