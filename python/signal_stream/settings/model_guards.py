"""Guards that a model is registered with (`register --guard`): options, a file of `[[guard]]`, or mappings."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from signal_stream import parts
from signal_stream.errors import SettingsError

from .section_reader import SectionReader
from .toml_file import read_toml
from .toml_lines import TomlLines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .guards import GuardSettings

_PAIR: Final = re.compile(r"""((?:"(?:[^"\\]|\\.)*"|'[^']*'|\[[^\]]*\]|\{[^}]*\}|[^,"'\[{])+)(?:,|$)""")


def model_guards(given: Sequence[str | Path | Mapping[str, Any]]) -> tuple[Mapping[str, Any], ...]:
    """What a manifest keeps of its model's guards: `kind` and the settings of each, as JSON has them, with absolute paths.

    Each of `given` is the text "KIND:key=value,key=value", a TOML file of `[[guard]]` (its name ends in .toml), or a mapping
    with `kind`. Every guard is made once to see that it can be. Raises SettingsError that names the option, or file and line.
    """
    found: list[Mapping[str, Any]] = []
    for number, each in enumerate(given):
        if isinstance(each, Mapping):
            found += _checked([each], f"guards[{number}]")
        elif str(each).endswith(".toml"):
            path = Path(each)
            text, data = read_toml(path)
            if not data:
                what = "it names no guard"
                raise SettingsError("MISSING_KEY", what, where=str(path), next_step="Write [[guard]] with its kind.")
            found += [_kept(guard, str(path)) for guard in SectionReader(path, TomlLines(text), data).guards()]
        else:
            found += _checked([_of_option(str(each))], f"guard {each}")
    return tuple(found)


def guard_text(section: Mapping[str, Any]) -> str:
    """A guard that a manifest keeps, written as `--guard` takes it.

    >>> guard_text({"kind": "band", "low": -1, "high": 1})
    'band:low=-1,high=1'
    """
    settings = ",".join(f"{key}={json.dumps(value)}" for key, value in section.items() if key != "kind")
    return f"{section['kind']}{':' if settings else ''}{settings}"


def _checked(sections: list[Mapping[str, Any]], where: str) -> list[Mapping[str, Any]]:
    """Guards that stand in no file: their mistakes name `where`."""
    try:
        data = {"guard": [dict(each) for each in sections]}
        guards = SectionReader(Path.cwd() / "guards", TomlLines(""), data).guards()
    except SettingsError as error:
        raise SettingsError(
            error.code, error.message, where=where, value=error.value, next_step=error.next_step
        ) from error
    return [_kept(guard, where) for guard in guards]


def _kept(guard: GuardSettings, where: str) -> Mapping[str, Any]:
    """The settings as the manifest keeps them. Raises SettingsError for a guard that cannot be made."""
    if guard.models:
        what = "[[guard]] models: a guard of a manifest judges the signals of its own model"
        raise SettingsError("BAD_VALUE", what, where=where, value=guard.models, next_step="Leave models out.")
    try:
        json.dumps(guard.raw, allow_nan=False)
    except (TypeError, ValueError) as error:
        what = f'guard "{guard.kind}" has a setting that JSON cannot hold: {error}'
        raise SettingsError("BAD_VALUE", what, where=where, value=guard.kind) from error
    try:
        parts.make("guard", guard)
    except SettingsError as error:
        raise SettingsError(
            error.code, error.message, where=where, value=error.value, next_step=error.next_step
        ) from error
    return guard.raw


def _of_option(text: str) -> Mapping[str, Any]:
    """The section that "KIND:key=value,key=value" stands for. Values are TOML; what is none is text.

    >>> _of_option("spread:max=2.5,side=buy,window=5s") == {"kind": "spread", "max": 2.5, "side": "buy", "window": "5s"}
    True
    """
    kind, colon, rest = text.partition(":")
    section: dict[str, Any] = {"kind": kind.strip()}
    at = 0
    while colon and at < max(len(rest), 1):
        pair = _PAIR.match(rest, at)
        key, equals, value = (pair[1] if pair else rest[at:]).partition("=")
        if pair is None or not equals or not key.strip():
            raise SettingsError(
                "SYNTAX", f'"{rest[at:]}" does not begin with key=value', where=f"guard {text}", value=text,
                next_step="Write KIND:key=value,key=value, as max_change:max_change=0.2, or name a TOML file of [[guard]].",
            )  # fmt: skip
        section[key.strip()] = _value(value.strip())
        at = pair.end()
    return section


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text
