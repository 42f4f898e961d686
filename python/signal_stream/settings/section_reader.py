"""Which sections a file may hold, and reading them: unknown, missing and contradictory keys are named with their line."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import ValidationError

from signal_stream import parts
from signal_stream.errors import SettingsError, did_you_mean

from .address import Address
from .grpc import GrpcSettings
from .guards import GuardLimits, GuardSettings
from .health import HealthSettings
from .journal import JournalSettings
from .metrics import MetricsSettings
from .mistakes import Mistake, first_mistake
from .model import ModelSettings
from .observer import ObserverSettings
from .pipeline import PipelineSettings
from .sink import SinkSettings
from .source import SourceSettings
from .tape import TapeSettings
from .texts import faulty_texts, text_fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .section import Section
    from .toml_lines import TomlLines

SECTIONS: Final[dict[str, type[Section]]] = {
    "pipeline": PipelineSettings,
    "source": SourceSettings,
    "model": ModelSettings,
    "guards": GuardLimits,
    "guard": GuardSettings,
    "sink": SinkSettings,
    "observer": ObserverSettings,
    "journal": JournalSettings,
    "tape": TapeSettings,
    "metrics": MetricsSettings,
    "health": HealthSettings,
    "grpc": GrpcSettings,
}
"""What a file may hold, in the order of docs/reference/settings.md."""
PARTS: Final[tuple[parts.Role, ...]] = ("source", "guard", "sink", "observer")
"""Those that are read by the settings class of a part, which `url` or `kind` names."""
LISTS: Final = ("model", "guard", "sink", "observer")
"""Those that may stand several times, as `[[model]]`."""
_REQUIRED: Final = ("pipeline", "source", "model", "guards")
_UNIQUE: Final = {"model": "ref", "sink": "url"}


class SectionReader:
    """Reads the sections of one file, and raises the mistake to mend first."""

    def __init__(self, path: Path, lines: TomlLines, data: Mapping[str, Any]) -> None:
        self._path = path
        self._lines = lines
        self._data = data
        self._mistakes: list[Mistake] = []
        self._kinds = dict(SECTIONS)

    def sections(self) -> dict[str, list[Section]]:
        """Each section's records, in the order of the file. Raises SettingsError."""
        self._raise_faulty_text()
        for name in self._data:
            if name not in SECTIONS:
                self._note((name,), None, "extra_forbidden")
        found = {name: self._read(name) for name in SECTIONS}
        self._raise_first()
        for name, key in _UNIQUE.items():
            named = [getattr(each, key) for each in found[name]]
            meant = [self._meant(value) for value in named]
            for i, value in enumerate(named):
                if value and meant[i] in meant[:i]:
                    where = self._where((name, i, key))
                    raise SettingsError(
                        "BAD_VALUE", f'[[{name}]] {key} = "{value}" stands twice', where=where, value=value
                    )
        self._raise_same_address(cast("MetricsSettings", found["metrics"][0]).listen,
                                 cast("GrpcSettings", found["grpc"][0]).listen)  # fmt: skip
        self._raise_without_amendments(cast("SourceSettings", found["source"][0]), found["sink"])
        models = [cast("ModelSettings", each).ref.partition("@")[0] for each in found["model"]]
        for i, each in enumerate(found["guard"]):
            for model in cast("GuardSettings", each).models:
                if model not in models:
                    raise SettingsError(
                        "BAD_VALUE", f'[[guard]] models names "{model}", which is no [[model]] of this file',
                        where=self._where(("guard", i, "models")), value=model, next_step=did_you_mean(model, models),
                    )  # fmt: skip
        return found

    def guards(self) -> list[GuardSettings]:
        """The records of `[[guard]]`, with absolute paths, of a file that has nothing else. Raises SettingsError."""
        self._raise_faulty_text()
        for name in self._data:
            if name != "guard":
                what = f"unknown section [{name}]: a file of guards has [[guard]] alone"
                raise SettingsError("UNKNOWN_KEY", what, where=self._where((name,)), value=name)
        found = self._read("guard")
        self._raise_first()
        return [cast("GuardSettings", self.placed(each, ("guard", i))) for i, each in enumerate(found)]

    def placed(self, section: Section, location: tuple[str | int, ...]) -> Section:
        """The section with absolute paths, when nothing contradicts itself in it. Raises SettingsError."""

        def place(named: Path, key: str) -> Path:
            return self._place(named, (*location, key))

        placed = section.placed(place)
        problems = chain(placed.path_problems(), placed.problems())
        for problem in problems:
            name = location[0]
            brackets = f"[[{name}]]" if name in LISTS else f"[{name}]"
            raise SettingsError(
                "BAD_VALUE",
                f"{brackets} {problem.message}",
                where=self._where((*location, problem.key, *problem.within)),
                value=getattr(placed, problem.key, None),
                next_step=problem.next_step,
            )
        return placed

    def _raise_faulty_text(self) -> None:
        """Raises SettingsError for a text that no name, path or URL can be."""
        for location, fault in faulty_texts(self._data):
            name, key = location[0], str(location[-1])
            brackets = f"[[{name}]]" if name in LISTS else f"[{name}]"
            said = f"{brackets} {key}" if len(location) > 1 else "the name of a section"
            shown = said if text_fault(said) is None else f"{brackets}: a key"
            raise SettingsError("BAD_VALUE", f"{shown} {fault}", where=self._where(location))

    def _meant(self, url: str | None) -> str | None:
        """A file's URL as the path that it means, whichever way it is written."""
        scheme, separator, rest = (url or "").partition("://")
        return os.path.normpath(self._path.parent / rest) if (scheme, separator) == ("file", "://") else url

    def _raise_same_address(self, metrics: str | None, grpc: str | None) -> None:
        """Raises SettingsError where both are to listen at one address: only one of them could."""
        if metrics is None or grpc is None:
            return
        address = Address.of(grpc)
        if address.port and address == Address.of(metrics):
            raise SettingsError(
                "BAD_VALUE", f'[grpc] listen = "{grpc}" is where [metrics] listens',
                where=self._where(("grpc", "listen")), value=grpc, next_step="Give each a port of its own.",
            )  # fmt: skip

    def _raise_without_amendments(self, source: SourceSettings, sinks: list[Section]) -> None:
        """Raises SettingsError for a sink of amendments where none are made, and for one that writes into the source's file."""
        for i, each in enumerate(cast("list[SinkSettings]", sinks)):
            if each.gets == "amendments" and source.late != "amend":
                raise SettingsError(
                    "BAD_VALUE", f'[[sink]] gets = "amendments", and [source] late = "{source.late}" makes none',
                    where=self._where(("sink", i, "gets")), value=each.gets,
                    next_step='Write [source] late = "amend" with amend_within, or take the sink out.',
                )  # fmt: skip
            if each.url and each.url.startswith("file://") and self._meant(each.url) == self._meant(source.url):
                raise SettingsError(
                    "BAD_VALUE", f'[[sink]] url = "{each.url}" is the file that the source reads',
                    where=self._where(("sink", i, "url")), value=each.url, next_step="Name another file.",
                )  # fmt: skip

    def _raise_first(self) -> None:
        if self._mistakes:
            raise first_mistake(
                self._mistakes, where=str(self._path), lines=self._lines, sections=self._kinds, lists=LISTS
            )

    def _read(self, name: str) -> list[Section]:
        if name not in self._data:
            if name in _REQUIRED:
                self._note((name,), None, "missing")
                return []
            return [] if name in LISTS else [SECTIONS[name]()]
        data = self._data[name]
        if name not in LISTS:
            return self._one(name, data, (name,))
        if not isinstance(data, list):
            self._note((name,), None, "tuple_type", data)
            return []
        if not data and name in _REQUIRED:
            where = self._where((name,))
            raise SettingsError("BAD_VALUE", f"no [[{name}]]: at least one is needed", where=where)
        return [made for i, each in enumerate(data) for made in self._one(name, each, (name, i))]

    def _one(self, name: str, data: object, location: tuple[str | int, ...]) -> list[Section]:
        if not isinstance(data, dict):
            self._note(location, None, "model_type", data)
            return []
        kind = self._kind(name, data, location)
        self._kinds[name] = kind
        try:
            return [kind.read(data)]
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                # a validator's or a union branch's name at the end of the location is no key of the file
                place = (*location, *detail["loc"][:1])
                self._mistakes.append(Mistake(place, kind, detail))
            return []

    def _kind(self, name: str, data: dict[str, Any], location: tuple[str | int, ...]) -> type[Section]:
        """The settings class of a section: a part has its own."""
        if name not in PARTS:
            return SECTIONS[name]
        key = "url" if "url" in data and "kind" not in data else "kind"
        named = data.get(key)
        if not isinstance(named, str) or (key == "url" and ":" not in named):
            if key == "url":
                self._note((*location, key), None, "url_scheme", named)
            elif "url" in SECTIONS[name].model_fields:
                self._note((*location, "url"), SECTIONS[name], "missing")
            elif named is None:  # which explains every unknown key
                raise SettingsError(
                    "MISSING_KEY",
                    f'[[{name}]] missing key "kind", which has no default',
                    where=self._where(location),
                    next_step=f"Known are: {', '.join(parts.kinds(name))}." if parts.kinds(name) else "",
                )
            return SECTIONS[name]
        try:
            return cast(
                "type[Section]", parts.factory(name, named.partition(":")[0] if key == "url" else named).Settings
            )
        except SettingsError as error:
            brackets = f"[[{name}]]" if name in LISTS else f"[{name}]"
            raise SettingsError(
                error.code,
                f'{brackets} {key} = "{named}": {error.message}',
                where=self._where((*location, key)),
                value=named,
                next_step=error.next_step,
            ) from error

    def _note(
        self, location: tuple[str | int, ...], section: type[Section] | None, kind: str, value: object = None
    ) -> None:
        self._mistakes.append(Mistake(location, section, {"type": kind, "input": value, "msg": ""}))

    def _where(self, location: tuple[str | int, ...]) -> str:
        return f"{self._path}:{self._lines.line(location)}"

    def _place(self, named: Path, location: tuple[str | int, ...]) -> Path:
        where = self._where(location)
        if named.parts[:1] and named.parts[0].startswith("~"):
            message = f'{location[-1]} = "{named}": ~ is nobody\'s home here: a service reads this file as another user'
            advice = "Write the whole path."
            raise SettingsError("BAD_VALUE", message, where=where, value=str(named), next_step=advice)
        return self._path.absolute().parent / named
