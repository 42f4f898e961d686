"""On which line of a TOML file each table and key stands."""

from __future__ import annotations

import re


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
                self._lines.setdefault(keys, line)
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
