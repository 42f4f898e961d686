"""The deployment file: one frozen tree, read once, every mistake named with its line.

    deployment = load_deployment(Path("deployment.toml"))
    deployment.guards.max_age_ns      # 1_000_000_000

Unknown keys are errors that offer the nearest valid one; limits have no default. Durations are written with their
unit ("100ms", "2s", "1m") and kept as nanoseconds. Paths in the file are relative to the folder in which it is named,
also where it is a link to a file elsewhere: the state stays when the link is moved. The environment is read here and
nowhere else, by `environment`.
"""

from __future__ import annotations

import codecs
import difflib
import math
import os
import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from signal_stream.durations import duration_ns
from signal_stream.errors import SettingsError, did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping


def _duration(value: object) -> object:
    if isinstance(value, str):
        return duration_ns(value)
    raise ValueError('a duration with its unit in quotes, such as "100ms"')


def _more_than_none(ns: int) -> int:
    if ns == 0:
        raise ValueError("a duration above zero")
    return ns


DurationNs = Annotated[int, BeforeValidator(_duration)]
PositiveNs = Annotated[DurationNs, AfterValidator(_more_than_none)]


def _pace(value: object) -> object:
    """Times recorded pace; infinity is as fast as it goes."""
    if value == "recorded":
        return 1.0
    if value == "max":
        return float("inf")
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)x", value) if isinstance(value, str) else None
    if match is None or float(match[1]) == 0:
        raise ValueError('"recorded", "max" or a multiple such as "8x"')
    return float(match[1])


def _share(value: object) -> object:
    match = re.fullmatch(r"([0-9]*\.?[0-9]+)%", value) if isinstance(value, str) else None
    share = float(match[1]) / 100 if match else value
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError('a share such as "1%" or 0.01')
    return float(share)


def _fallback(text: str) -> str:
    number = re.fullmatch(r"constant:([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)", text)
    if text not in ("veto", "last_valid") and (number is None or not math.isfinite(float(number[1]))):
        raise ValueError('"veto", "last_valid" or "constant:" with a number')
    return text


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", text):
        raise ValueError("a name of letters, digits and _ . - (at most 64)")
    return text


def _ref(text: str) -> str:
    name, at, version = text.partition("@")
    if not (name and at and version):
        raise ValueError('"name@version", "name@live" or "name@latest"')
    return text


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PipelineSettings(_Section):
    """`[pipeline]`: what it is called and where it keeps its things."""

    name: Annotated[str, AfterValidator(_name)]
    """Part of every signal's id."""
    state: Path = Field(default=Path("state/"), strict=False)
    """Folder of journal, snapshots and latches."""
    registry: Path = Field(default=Path("registry/"), strict=False)
    """Folder of the model registry."""


class SourceSettings(_Section):
    """`[source]`: where events come from, how fast, and what happens to those that come late or too fast."""

    url: str
    """`file://PATH` (a tape or capture) or `stdin:`."""
    follow: bool = False
    """The file is still being written: wait for more at its end."""
    pace: Annotated[float, BeforeValidator(_pace)] = 1.0
    """Times recorded pace: "recorded" is 1, "8x" is 8, "max" is infinity."""
    queue_rows: int = Field(ge=1, le=100_000_000)
    """Most event rows between source and engine."""
    when_full: Literal["block", "shed_oldest", "halt"] = "block"
    """What the source does when the queue is full."""
    lateness_ns: DurationNs = Field(alias="lateness")
    """How far the watermark trails the newest event time."""
    late: Literal["drop", "amend", "refuse"]
    """What happens to an event behind the watermark."""
    idle_mark_ns: PositiveNs | None = Field(default=None, alias="idle_mark")
    """A live source silent for this long puts a clock mark on the tape; absent: 1 s, never for what is no live source."""
    clock: Literal["auto", "wall", "recorded"] = "auto"
    """What a live source's events are old by: the wall clock, or a clock that runs with them as for a recording that is
    played through a pipe. "auto" is the wall clock for events of the last 30 days."""
    max_rejected: Annotated[float, BeforeValidator(_share)] = 0.01
    """Share of the lines, from 1,000 on and at the end, that may be broken; beyond it the pipeline stops."""
    record: Path | None = Field(default=None, strict=False)
    """Where the events are kept as they were used; absent: not kept."""

    @property
    def path(self) -> Path | None:
        """The file of `url`; None for stdin."""
        return None if self.url == "stdin:" else Path(self.url.removeprefix("file://"))


class ModelSettings(_Section):
    """`[[model]]`: one registered model of the pipeline."""

    ref: Annotated[str, AfterValidator(_ref)]
    """`name@version`, `name@live` or `name@latest`."""
    placement: Literal["isolated", "in-process"] = "isolated"
    """In a worker process of its own, or in the pipeline's (native kinds only)."""
    deadline_ns: PositiveNs | None = Field(default=None, alias="deadline")
    """Time for a prediction; absent: the manifest's."""
    fallback: Annotated[str, AfterValidator(_fallback)] | None = None
    """What stands in for a missing prediction; absent: the manifest's."""


class GuardSettings(_Section):
    """`[guards]`: the limits within which signals pass."""

    max_age_ns: PositiveNs = Field(alias="max_age")
    """Oldest input that a signal may rest on when it leaves, in receive time and in event time."""
    completeness: float = Field(gt=0, le=1)
    """Least share of features that are valid without a default; 1.0 allows no default."""


class JournalSettings(_Section):
    """`[journal]`: how safely signals are kept."""

    fsync: Literal["never", "interval", "always"] = "interval"
    """When what was written is forced to the disk. kill -9 loses nothing in any case; a power cut may."""
    fsync_interval_ns: PositiveNs = Field(default=1_000_000_000, alias="fsync_interval")
    """The most that a power cut may take under "interval"."""
    segment_bytes: int = Field(default=256 << 20, ge=1 << 16, le=1 << 40)
    """Size at which a new file is begun."""


class SinkSettings(_Section):
    """`[[sink]]`: a place that signals go to, besides the journal."""

    url: str
    """`file://PATH` ending in .jsonl or .arrow."""


class Deployment(_Section):
    """A whole deployment file."""

    pipeline: PipelineSettings
    source: SourceSettings
    models: tuple[ModelSettings, ...] = Field(alias="model", strict=False)
    guards: GuardSettings
    sinks: tuple[SinkSettings, ...] = Field(default=(), alias="sink", strict=False)
    journal: JournalSettings = Field(default_factory=JournalSettings)

    @model_validator(mode="after")
    def _has_a_model(self) -> Self:
        if not self.models:
            raise ValueError("no [[model]]: at least one is needed")
        return self


def load_deployment(path: Path) -> Deployment:
    """Reads a deployment file. Raises SettingsError with file, line, section and key of the first mistake."""
    text = _text(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, line = _syntax(str(error), text)
        raise SettingsError("SYNTAX", message, where=f"{path}:{line}") from error
    lines = TomlLines(text)
    try:
        deployment = Deployment.model_validate(data)
    except ValidationError as error:
        raise _mistake(error, path=path, lines=lines) from error
    return _placed(deployment, path=path, lines=lines)


def _text(path: Path) -> str:
    """What a deployment file holds, without a byte order mark. Raises SettingsError."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            advice = "Name a regular file."
            raise SettingsError("UNREADABLE", f"it is {_kind(mode)}, no file", where=str(path), next_step=advice)
        data = path.read_bytes()
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            message = "it begins with a byte order mark of UTF-16"
            raise SettingsError("UNREADABLE", message, where=str(path), next_step="Save it as UTF-8.")
        return data.decode("utf-8-sig")
    except FileNotFoundError as error:
        advice = f"Give its path, or name it in {_DEPLOYMENT_VARIABLE}."
        raise SettingsError("NOT_FOUND", "no such file", where=str(path), next_step=advice) from error
    except OSError as error:
        raise SettingsError("UNREADABLE", f"cannot be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte {error.start:,} is no UTF-8"
        raise SettingsError("UNREADABLE", message, where=f"{path}:{line}", next_step="Save it as UTF-8.") from error


def _kind(mode: int) -> str:
    """What lies there, in a word."""
    kinds = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for test, name in kinds if test(mode)), "a device")


def _placed(deployment: Deployment, *, path: Path, lines: TomlLines) -> Deployment:
    """The deployment with its paths made absolute, from the file's folder, and its URLs checked."""
    folder = path.absolute().parent

    def place(named: Path, location: tuple[str | int, ...]) -> Path:
        where = f"{path}:{lines.line(location)}"
        if "\0" in str(named):
            raise SettingsError("BAD_VALUE", "a path holds the character NUL", where=where, value=str(named))
        if named.parts[:1] and named.parts[0].startswith("~"):
            message = f'"{named}": ~ is nobody\'s home in this file, which a service reads under another user too'
            advice = "Write the whole path."
            raise SettingsError("BAD_VALUE", message, where=where, value=str(named), next_step=advice)
        return folder / named

    def file_url(url: str, location: tuple[str | int, ...], allowed: str) -> str:
        rest = url.removeprefix("file://")
        if rest == url or not rest:
            where = f"{path}:{lines.line(location)}"
            section = _section_of(location)
            message = f'{section} url = "{url}" is not {allowed}'
            raise SettingsError("BAD_VALUE", message, where=where, value=url)
        return f"file://{place(Path(rest), location)}"

    for what, names in (
        ("model", [m.ref for m in deployment.models]),
        ("sink", [s.url for s in deployment.sinks]),
    ):
        for i, name in enumerate(names):
            if name in names[:i]:
                key = "ref" if what == "model" else "url"
                where = f"{path}:{lines.line((what, i, key))}"
                raise SettingsError("BAD_VALUE", f'[[{what}]] {key} = "{name}" stands twice', where=where, value=name)
    source = deployment.source
    url = source.url
    if url != "stdin:":
        url = file_url(url, ("source", "url"), '"file://PATH" or "stdin:"')
    record = source.record and place(source.record, ("source", "record"))
    sinks = tuple(
        sink.model_copy(update={"url": file_url(sink.url, ("sink", i, "url"), '"file://PATH"')})
        for i, sink in enumerate(deployment.sinks)
    )
    pipeline = deployment.pipeline
    places = {name: place(getattr(pipeline, name), ("pipeline", name)) for name in ("state", "registry")}
    link = _release_link(places["state"])
    if link is not None:
        raise SettingsError(
            "BAD_VALUE",
            f'[pipeline] state = "{pipeline.state}" lies behind the link {link} to {link.resolve()}: when the link is '
            "moved, kills and journal stay behind",
            where=f"{path}:{lines.line(('pipeline', 'state'))}",
            value=str(pipeline.state),
            next_step="Write an absolute path without such a link.",
        )
    return deployment.model_copy(
        update={
            "pipeline": pipeline.model_copy(update=places),
            "source": source.model_copy(update={"url": url, "record": record}),
            "sinks": sinks,
        }
    )


def _release_link(path: Path) -> Path | None:
    """A link on the way to `path` that leads to another folder beside or below it, as the link to the newest release
    does; None if there is none. Links to elsewhere, as to another disk, stay where they are."""
    for link in (path, *path.parents):
        if link.is_symlink() and link.parent != link.parent.parent:
            home = link.parent.resolve()
            if home in link.resolve().parents:
                return link
    return None


def _syntax(message: str, text: str) -> tuple[str, int]:
    """tomllib's message without its position, and the line of it."""
    match = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", message)
    if match is None:
        return message, 1
    line = int(match[1]) if match[1] else max(1, len(text.splitlines()))
    return f"not TOML: {message[: match.start()]}", line


def _section_of(location: tuple[str | int, ...]) -> str:
    return _brackets(str(location[0]))


def _brackets(section: str) -> str:
    return f"[[{section}]]" if section in ("model", "sink") else f"[{section}]"


def _mistake(error: ValidationError, *, path: Path, lines: TomlLines) -> SettingsError:
    """The mistake to mend first: unknown keys (they explain missing ones), wrong values, missing keys; by line."""
    order = {"extra_forbidden": 0, "missing": 2}
    found = []
    for detail in error.errors(include_url=False):
        # a union's branch or a validator's name at the end of the location is no key of the file
        location = tuple(detail["loc"])
        if len(location) > (3 if len(location) > 1 and isinstance(location[1], int) else 2):
            location = location[:3] if isinstance(location[1], int) else location[:2]
        found.append((order.get(detail["type"], 1), lines.line(location), location, detail))
    _, line, location, detail = min(found, key=lambda each: each[:2])
    more = f" ({len(found) - 1} more in this file)" if len(found) > 1 else ""
    where = f"{path}:{line}"
    kind = detail["type"]
    if kind == "extra_forbidden":
        return _unknown(location, where, more)
    if kind == "missing":
        return _missing(location, where, more)
    allowed = _allowed(kind, detail)
    if not location:
        return SettingsError("BAD_VALUE", f"{allowed}{more}", where=where)
    if len(location) == 1 or isinstance(location[-1], int):
        message = f"{_section_of(location)} is not {allowed}{more}"
    else:
        value = detail["input"]
        message = f"{_section_of(location)} {location[-1]} = {_toml(value)} is not {allowed}{more}"
    return SettingsError("BAD_VALUE", message, where=where, value=detail["input"])


def _unknown(location: tuple[str | int, ...], where: str, more: str) -> SettingsError:
    key = str(location[-1])
    if len(location) == 1:
        known = _keys(Deployment)
        message = f"unknown section [{key}]"
    else:
        known = _keys(_model_of(str(location[0])))
        message = f'{_section_of(location)} unknown key "{key}"'
    advice = did_you_mean(key, known)
    if nearest(key, known) is None:
        homes = [name for name in _keys(Deployment) if key in _keys(_model_of(name))]
        if homes:
            advice = f"It belongs in {_brackets(homes[0])}."
    return SettingsError("UNKNOWN_KEY", message + more, where=where, value=key, next_step=advice)


def _missing(location: tuple[str | int, ...], where: str, more: str) -> SettingsError:
    key = str(location[-1])
    if len(location) == 1:
        advice = f"It has to set: {', '.join(_required(_model_of(key)))}."
        return SettingsError("MISSING_KEY", f"missing section {_brackets(key)}{more}", where=where, next_step=advice)
    field = next(
        field for name, field in _model_of(str(location[0])).model_fields.items() if (field.alias or name) == key
    )
    allowed = ""
    if getattr(field.annotation, "__origin__", None) is Literal:
        allowed = "One of " + ", ".join(f'"{each}"' for each in field.annotation.__args__) + "."  # type: ignore[union-attr]
    message = f'{_section_of(location)} missing key "{key}", which has no default{more}'
    return SettingsError("MISSING_KEY", message, where=where, next_step=allowed)


def _allowed(kind: str, detail: Mapping[str, Any]) -> str:
    context = detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return "one of " + str(context["expected"]).replace("'", '"').replace(" or ", ", ")
    plain = {
        "string_type": "text in quotes",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "float_parsing": "a number",
        "bool_type": "true or false",
        "path_type": "a path in quotes",
        "tuple_type": "a list of sections: write it as [[…]]",
        "model_type": "a section",
    }
    if kind in plain:
        return plain[kind]
    bounds = {
        "greater_than_equal": ("at least", "ge"),
        "greater_than": ("above", "gt"),
        "less_than_equal": ("at most", "le"),
    }
    if kind in bounds:
        words, name = bounds[kind]
        return f"{words} {context[name]}"
    return str(detail["msg"])


def _toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _model_of(section: str) -> type[_Section]:
    models: dict[str, type[_Section]] = {
        "pipeline": PipelineSettings,
        "source": SourceSettings,
        "model": ModelSettings,
        "guards": GuardSettings,
        "sink": SinkSettings,
        "journal": JournalSettings,
    }
    return models[section]


def _keys(model: type[_Section]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _required(model: type[_Section]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items() if field.is_required()]


class TomlLines:
    """The line on which each table and key of a TOML text stands; tomllib does not say.

    The text is known to be TOML. Keys inside inline tables have the line of the key that holds the table.

    >>> lines = TomlLines("[source]\\nurl = 'a'\\n[[model]]\\nref = 'b'\\n")
    >>> lines.line(("source", "url")), lines.line(("model", 0, "ref")), lines.line(("source", "missing"))
    (2, 4, 1)
    """

    _KEY = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*""")
    # strings of all four kinds, comments, brackets, line ends: what decides where a value stops
    _TOKEN = re.compile(
        r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'[\s\S]*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|\#[^\n]*|[\[\]{}\n]''',
        re.DOTALL,
    )

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str | int, ...], int] = {}
        self._text = text
        counts: dict[tuple[str | int, ...], int] = {}
        table: tuple[str | int, ...] = ()
        at = 0
        while (at := self._statement(at)) < len(text):
            line = text.count("\n", 0, at) + 1
            brackets = 2 if text.startswith("[[", at) else 1 if text[at] == "[" else 0
            keys, at = self._keys(at + brackets)
            if brackets == 0:
                self._lines.setdefault(table + keys, line)
                at = self._value_end(at)
                continue
            table = keys
            if brackets == 2:
                counts[keys] = counts.get(keys, -1) + 1
                table = (*keys, counts[keys])
            self._lines.setdefault(table, line)
            at += brackets

    def line(self, location: tuple[str | int, ...]) -> int:
        """The line of the location, or of the nearest table around it; 1 where there is none."""
        while location and location not in self._lines:
            location = location[:-1]
        return self._lines.get(location, 1)

    def _statement(self, at: int) -> int:
        """The next place that is neither blank nor comment."""
        while at < len(self._text):
            if self._text[at] == "#":
                end = self._text.find("\n", at)
                at = len(self._text) if end < 0 else end
            elif self._text[at].isspace():
                at += 1
            else:
                break
        return at

    def _keys(self, at: int) -> tuple[tuple[str, ...], int]:
        """A dotted key, and where it ends."""
        keys = []
        while match := self._KEY.match(self._text, at):
            keys.append(match[1] or match[2] or match[3] or "")
            at = match.end()
            if not self._text.startswith(".", at):
                break
            at += 1
        return tuple(keys), at

    def _value_end(self, at: int) -> int:
        """The end of the line on which the value that begins at `at` ends."""
        depth = 0
        for match in self._TOKEN.finditer(self._text, at):
            piece = match[0]
            if piece == "\n" and depth == 0:
                return match.end()
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(piece, 0)
        return len(self._text)


_DEPLOYMENT_VARIABLE: Final = "SIGNAL_STREAM_DEPLOYMENT"


@dataclass(frozen=True, slots=True)
class Environment:
    """What the process environment says. Nothing else in the package reads it."""

    deployment: Path
    """The deployment file that commands use when none is named: SIGNAL_STREAM_DEPLOYMENT, else deployment.toml."""
    named: bool = False
    """Whether the variable names it, so that it has to be there."""


def environment(variables: Mapping[str, str] | None = None) -> Environment:
    """The environment, read now; `variables` stands in for the process's own. Raises SettingsError if the variable is
    empty, or another has nearly its name: who sets one means a certain pipeline.

    >>> environment({}).deployment.name
    'deployment.toml'
    """
    found = os.environ if variables is None else variables
    named = found.get(_DEPLOYMENT_VARIABLE)
    if named is None:
        for name in difflib.get_close_matches(_DEPLOYMENT_VARIABLE, found, n=1, cutoff=0.85):
            advice = f'Did you mean "{_DEPLOYMENT_VARIABLE}"?'
            raise SettingsError("UNKNOWN_KEY", f"unknown variable {name}", value=name, next_step=advice)
        return Environment(Path("deployment.toml"))
    if not named:
        advice = "Name a deployment file in it, or unset it."
        raise SettingsError("BAD_VALUE", f"{_DEPLOYMENT_VARIABLE} is empty", value=named, next_step=advice)
    return Environment(Path(named), named=True)
