"""The base of every section's class: a frozen record that says what contradicts itself in it (section_reader.py fills it)."""

from __future__ import annotations

from collections.abc import Mapping
from errno import ENAMETOOLONG
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHOWN_MAX: Final = 60


class Problem(NamedTuple):
    """A value that is allowed by itself and wrong beside another: at which key (and where within it), what, and what to do."""

    key: str
    message: str
    next_step: str = ""
    within: tuple[str | int, ...] = ()


class Section(BaseModel):
    """A section. Unknown keys and values of another type are mistakes; paths lie relative to the file's folder."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=False)

    folders: ClassVar[frozenset[str]] = frozenset()
    """Keys whose paths are folders; all others are files."""

    _raw: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    _said: Mapping[str, Any] = PrivateAttr(default_factory=dict)
    """Texts of the file without a word in them, which an absolute path would hide. Empty but in a section that is refused."""

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self:
        """The section of what TOML or JSON says. Raises pydantic's ValidationError."""
        section = cls.model_validate(raw)
        section._raw = dict(raw)
        return section

    @property
    def raw(self) -> Mapping[str, Any]:
        """What it was read from: `read` gives an equal section of it."""
        return self._raw

    def problems(self) -> Iterator[Problem]:
        """Values that contradict each other. The first is reported, with its line in the file."""
        yield from ()

    def path_problems(self) -> Iterator[Problem]:
        """Paths, made absolute, that name nothing, or where something of another kind lies."""
        for name, field in type(self).model_fields.items():
            value, key = getattr(self, name), field.alias or name
            if isinstance(value, Path) and _is_blank(self._said.get(key)):
                yield Problem(
                    key, f'{key} = "{self._said.get(key)}" names nothing', "Write a path, or leave the key out."
                )
            elif isinstance(value, Path):
                yield from self._path_problems(value, key)
            elif name == "url" and isinstance(value, str) and value.startswith("file://") and value != "file://":
                yield from self._path_problems(Path(value.removeprefix("file://")), key)

    def _path_problems(self, path: Path, key: str) -> Iterator[Problem]:
        try:
            is_folder, is_there = path.is_dir(), path.exists()
        except OSError as error:
            text = str(path)
            shown = text if len(text) <= _SHOWN_MAX else f"…{text[-_SHOWN_MAX:]}"
            advice = "Write a shorter one." if error.errno == ENAMETOOLONG else "Name one that can be looked at."
            yield Problem(key, f'{key} = "{shown}" is no path: {(error.strerror or str(error)).lower()}', advice)
            return
        if key not in self.folders:
            if is_folder:
                yield Problem(key, f'{key} = "{path}" is a folder', "Name a file.")
        elif path.parent == path:
            yield Problem(key, f'{key} = "{path}" is the root of the disk', "Name a folder of its own.")
        elif is_there and not is_folder:
            yield Problem(key, f'{key} = "{path}" is a file', "Name a folder.")

    def placed(self, place: Callable[[Path, str], Path]) -> Self:
        """The section with its paths made absolute by `place`, which is given the path and its key. A `file://` in `url`, and
        in a tuple of URLs, is a path as well."""
        moved: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value, key = getattr(self, name), field.alias or name
            if isinstance(value, Path):
                moved[name] = place(value, key)
            elif name == "url" and isinstance(value, str):
                moved[name] = _placed_url(value, place, key)
            elif isinstance(value, tuple) and any(isinstance(each, str) and "://" in each for each in value):
                moved[name] = tuple(_placed_url(each, place, key) for each in value)
        placed = self.model_copy(update=moved)
        names = {name: field.alias or name for name, field in type(self).model_fields.items()}
        placed._said = {key: said for key, said in self._raw.items() if _is_blank(said)}
        placed._raw = {**self._raw, **{names[name]: _as_read(value) for name, value in moved.items()}}
        return placed

    @classmethod
    def keys(cls) -> list[str]:
        """The keys that the section may hold."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @classmethod
    def required(cls) -> list[str]:
        """Those of them that have no default."""
        return [field.alias or name for name, field in cls.model_fields.items() if field.is_required()]


def _is_blank(said: object) -> bool:
    return isinstance(said, str) and not said.strip()


def _placed_url(url: str, place: Callable[[Path, str], Path], key: str) -> str:
    return f"file://{place(Path(url.removeprefix('file://')), key)}" if url.startswith("file://") else url


def _as_read(value: object) -> object:
    """A value as a TOML file holds it."""
    return list(value) if isinstance(value, tuple) else str(value)
