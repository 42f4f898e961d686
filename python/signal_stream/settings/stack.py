"""`stack.toml`: several deployments and the helper processes beside them, which `signal-stream up` runs together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from signal_stream.errors import SettingsError

from .mistakes import Mistake, first_mistake
from .section import Problem, Section
from .texts import faulty_texts
from .toml_file import read_toml
from .toml_lines import TomlLines
from .values import Name, PositiveNs, Within

if TYPE_CHECKING:
    from collections.abc import Iterator

_S: Final = 1_000_000_000
_PROBES: Final = ("http://", "tcp://")


class StackSettings(Section):
    """`[stack]`: what the stack is called, where it keeps its logs and status, and how what fails is started again."""

    name: Name
    """What it is called."""
    state: Path = Field(default=Path("up/"), strict=False)
    """Folder of its status and of a log for each part."""
    retry_first_ns: Annotated[PositiveNs, Within("1ns", "1h")] = Field(default=_S, alias="retry_first")
    """How long after its first failure a part is started again; twice as long after each one that follows."""
    retry_max_ns: Annotated[PositiveNs, Within("1ns", "1d")] = Field(default=60 * _S, alias="retry_max")
    """The longest that it waits."""
    steady_ns: Annotated[PositiveNs, Within("1ns", "30d")] = Field(default=300 * _S, alias="steady")
    """A part that was up for so long is believed again: its failures are forgotten."""


class PartSettings(Section):
    """What is true of every part of a stack."""

    name: Name
    """What it is called in the status, in `needs`, and its log."""
    needs: tuple[str, ...] = Field(default=(), strict=False)
    """Names of the parts that have to be up before it is started."""
    start_max_ns: Annotated[PositiveNs, Within("1ns", "1d")] = Field(default=60 * _S, alias="start_max")
    """How long after its start it has to be ready."""
    stop_max_ns: Annotated[PositiveNs, Within("1ns", "1d")] = Field(default=20 * _S, alias="stop_max")
    """How long it may take to end when it is asked to; then it is killed."""


class StackDeployment(PartSettings):
    """`[[deployment]]`: a pipeline, served by a process of its own. It is ready when it serves."""

    file: Path = Field(strict=False)
    """The deployment file."""


class StackProcess(PartSettings):
    """`[[process]]`: a helper process, such as a broker, Redis, Prometheus or a recorder."""

    command: tuple[str, ...] = Field(min_length=1, strict=False)
    """The program and its arguments, started in the stack file's folder, without a shell. "python" and
    "signal-stream" are those that run the stack."""
    ready: str = ""
    """What answers when it is ready: "http://127.0.0.1:9090/-/ready" (any 2xx) or "tcp://127.0.0.1:6379"; absent: it is ready
    when it has run for half a second. Asked while it runs as well: one that does not answer is DEGRADED."""
    once: bool = False
    """It is meant to end by itself: what needs it is started when it has ended with exit code 0."""

    def problems(self) -> Iterator[Problem]:
        """A probe that nobody understands."""
        if self.ready and not _is_probe(self.ready):
            yield Problem("ready", f'ready = "{self.ready}" is neither an http:// URL nor a tcp:// URL with a port',
                          'Write "http://127.0.0.1:9090/-/ready" or "tcp://127.0.0.1:6379".')  # fmt: skip
        elif self.ready and self.once:
            yield Problem("ready", "ready is for what goes on; a process that runs once is ready when it has ended",
                          "Leave one of them out.")  # fmt: skip


def _is_probe(url: str) -> bool:
    """Whether it can be asked: a scheme that is known, a host, and a port for what is no HTTP."""
    try:
        where = urlsplit(url)
        return bool(url.startswith(_PROBES) and where.hostname and (where.port or where.scheme == "http"))
    except ValueError:  # half a bracket, or a port that is none
        return False


_SECTIONS: Final[dict[str, type[Section]]] = {
    "stack": StackSettings,
    "deployment": StackDeployment,
    "process": StackProcess,
}
_LISTS: Final = ("deployment", "process")


@dataclass(frozen=True, slots=True)
class Stack:
    """A whole stack file. `lines` is the line at which each part begins, by its name."""

    path: Path
    settings: StackSettings
    deployments: tuple[StackDeployment, ...]
    processes: tuple[StackProcess, ...]
    lines: dict[str, int]

    @property
    def parts(self) -> tuple[StackDeployment | StackProcess, ...]:
        """All parts, helper processes first."""
        return (*self.processes, *self.deployments)


def load_stack(path: Path) -> Stack:
    """Reads a stack file. Paths in it are relative to its folder. Raises SettingsError with file, line, section and key of the
    first mistake."""
    text, data = read_toml(path)
    lines = TomlLines(text)
    mistakes: list[Mistake] = []
    found: dict[str, list[Section]] = {name: [] for name in _SECTIONS}
    for name, value in data.items():
        if name not in _SECTIONS:
            mistakes.append(Mistake((name,), None, {"type": "extra_forbidden", "input": value, "msg": ""}))
        elif name in _LISTS and not isinstance(value, list):
            mistakes.append(Mistake((name,), None, {"type": "tuple_type", "input": value, "msg": ""}))
        else:
            for at, each in _each(name, value):
                found[name] += _read(name, at, each, mistakes)
    for place, fault in faulty_texts(data, free=("command",)):
        brackets = _brackets(str(place[0]))
        raise SettingsError("BAD_VALUE", f"{brackets} {place[-1]} {fault}", where=f"{path}:{lines.line(place)}")
    if "stack" not in data:
        mistakes.append(Mistake(("stack",), None, {"type": "missing", "input": None, "msg": ""}))
    if mistakes:
        raise first_mistake(mistakes, where=str(path), lines=lines, sections=_SECTIONS, lists=_LISTS)
    home = path.absolute().parent
    for name, sections in found.items():
        for number, section in enumerate(sections):
            for problem in section.problems():
                at = _location(name, number, problem.key)
                raise SettingsError("BAD_VALUE", f"{_brackets(name)} {problem.message}", where=f"{path}:{lines.line(at)}",
                                    next_step=problem.next_step)  # fmt: skip
            sections[number] = section.placed(lambda named, _key: home / named)
    if not found["deployment"] and not found["process"]:
        raise SettingsError(
            "BAD_VALUE", "neither a [[deployment]] nor a [[process]]: there is nothing to run", where=str(path)
        )
    return Stack(
        path=path,
        settings=cast("StackSettings", found["stack"][0]),
        deployments=tuple(cast("list[StackDeployment]", found["deployment"])),
        processes=tuple(cast("list[StackProcess]", found["process"])),
        lines={
            cast("PartSettings", section).name: lines.line((name, number))
            for name in _LISTS
            for number, section in enumerate(found[name])
        },
    )


Location = tuple[str | int, ...]


def _brackets(name: str) -> str:
    return f"[[{name}]]" if name in _LISTS else f"[{name}]"


def _location(name: str, number: int, key: str) -> Location:
    return (name, number, key) if name in _LISTS else (name, key)


def _each(name: str, value: Any) -> list[tuple[Location, Any]]:
    if name not in _LISTS:
        return [((name,), value)]
    return [((name, number), each) for number, each in enumerate(value)]


def _read(name: str, at: Location, data: Any, mistakes: list[Mistake]) -> list[Section]:
    if not isinstance(data, dict):
        mistakes.append(Mistake(at, None, {"type": "model_type", "input": data, "msg": ""}))
        return []
    try:
        return [_SECTIONS[name].read(data)]
    except ValidationError as error:
        details = error.errors(include_url=False)
        mistakes += [Mistake((*at, *detail["loc"][:1]), _SECTIONS[name], detail) for detail in details]
        return []
