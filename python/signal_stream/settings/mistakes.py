"""What pydantic found, as one sentence with file, line, section and key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from signal_stream.errors import SettingsError, did_you_mean, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .section import Section
    from .toml_lines import TomlLines

Location = tuple[str | int, ...]
_SHOWN: Final = 120
"""Characters of a value that a sentence shows."""


class Mistake(NamedTuple):
    """One finding of pydantic, in the section whose class is `kind`."""

    location: Location
    kind: type[Section] | None
    detail: Mapping[str, Any]


def first_mistake(
    mistakes: list[Mistake],
    *,
    where: str,
    lines: TomlLines,
    sections: Mapping[str, type[Section]],
    lists: tuple[str, ...],
) -> SettingsError:
    """The mistake to mend first: unknown keys (they explain missing ones), wrong values, missing keys; by line. `sections`
    are the classes of all sections, `lists` the names of those that may stand several times."""
    order = {"extra_forbidden": 0, "missing": 2}

    def rank(mistake: Mistake) -> tuple[int, int]:
        return order.get(mistake.detail["type"], 1), lines.line(mistake.location)

    location, section, detail = min(mistakes, key=rank)
    words = _Words(
        f"{where}:{lines.line(location)}",
        f" ({len(mistakes) - 1} more in this file)" if len(mistakes) > 1 else "",
        sections,
        lists,
    )
    kind = detail["type"]
    if kind == "extra_forbidden":
        return words.unknown(location, section)
    if kind == "missing":
        return words.missing(location, section)
    return words.bad(location, detail)


class _Words(NamedTuple):
    where: str
    more: str
    sections: Mapping[str, type[Section]]
    lists: tuple[str, ...]

    def brackets(self, section: object) -> str:
        return f"[[{section}]]" if section in self.lists else f"[{section}]"

    def unknown(self, location: Location, section: type[Section] | None) -> SettingsError:
        key = str(location[-1])
        if section is None:
            known = list(self.sections)
            message = f"unknown section [{key}]"
        else:
            known = section.keys()
            message = f'{self.brackets(location[0])} unknown key "{key}"'
        advice = did_you_mean(key, known)
        if nearest(key, known) is None:
            homes = [name for name, other in self.sections.items() if key in other.keys()]  # noqa: SIM118
            if (homes and section is not None and homes[0] != location[0]) or (homes and section is None):
                advice = f"It belongs in {self.brackets(homes[0])}."
        return SettingsError("UNKNOWN_KEY", message + self.more, where=self.where, value=key, next_step=advice)

    def missing(self, location: Location, section: type[Section] | None) -> SettingsError:
        key = str(location[-1])
        if section is None:
            required = ", ".join(self.sections[key].required())
            message = f"missing section {self.brackets(key)}{self.more}"
            return SettingsError("MISSING_KEY", message, where=self.where, next_step=f"It has to set: {required}.")
        field = next(field for name, field in section.model_fields.items() if (field.alias or name) == key)
        allowed = ""
        if getattr(field.annotation, "__origin__", None) is Literal:
            allowed = "One of " + ", ".join(f'"{each}"' for each in field.annotation.__args__) + "."  # type: ignore[union-attr]
        message = f'{self.brackets(location[0])} missing key "{key}", which has no default{self.more}'
        return SettingsError("MISSING_KEY", message, where=self.where, next_step=allowed)

    def bad(self, location: Location, detail: Mapping[str, Any]) -> SettingsError:
        allowed, value = _allowed(detail["type"], detail), detail["input"]
        if len(location) == 1 or isinstance(location[-1], int):
            message = f"{self.brackets(location[0])} is not {allowed}{self.more}"
        else:
            key = location[2] if isinstance(location[1], int) else location[1]
            message = f"{self.brackets(location[0])} {key} = {_toml(value)} is not {allowed}{self.more}"
        return SettingsError("BAD_VALUE", message, where=self.where, value=value)


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
        return _short(f'"{one_line(value)}"')
    if isinstance(value, list | tuple):
        return _short("[" + ", ".join(_toml(each) for each in value) + "]")
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def one_line(text: str) -> str:
    r"""A text without line ends and characters that cannot be seen.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
