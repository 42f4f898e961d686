"""The text of a TOML file (a deployment, a stack, guards), and what it says, with the line of a mistake."""

from __future__ import annotations

import codecs
import re
import stat
import tomllib
from typing import TYPE_CHECKING, Any

from signal_stream.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


def read_toml(path: Path, *, absent: str = "Give the path of one that exists.") -> tuple[str, dict[str, Any]]:
    """A file's text and its tables. `absent` is what to do if there is no such file. Raises SettingsError."""
    text = _text(path, absent)
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, line = _syntax(str(error), text)
        raise SettingsError("SYNTAX", message, where=f"{path}:{line}") from error
    except ValueError as error:  # of a number that int() does not take
        message, line = "not TOML: a number of thousands of digits", _longest_line(text)
        raise SettingsError("SYNTAX", message, where=f"{path}:{line}") from error
    except RecursionError as error:
        message, line = "not TOML: lists or tables that are nested too deep", _longest_line(text)
        raise SettingsError("SYNTAX", message, where=f"{path}:{line}") from error


def _longest_line(text: str) -> int:
    """Where to look for what no person has written."""
    lengths = [len(each) for each in text.split("\n")]
    return lengths.index(max(lengths)) + 1


def _text(path: Path, absent: str) -> str:
    """What the file holds, without a byte order mark. Raises SettingsError."""
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
        raise SettingsError("NOT_FOUND", "no such file", where=str(path), next_step=absent) from error
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


def _syntax(message: str, text: str) -> tuple[str, int]:
    """tomllib's message without its position, and the line of it."""
    match = re.search(r"\s*\(at (?:line (\d+), column \d+|end of document)\)$", message)
    if match is None:
        return message, 1
    line = int(match[1]) if match[1] else max(1, len(text.splitlines()))
    return f"not TOML: {message[: match.start()]}", line
