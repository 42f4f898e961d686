"""Label values that a metric may carry: few, short, and without secrets."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VALUES_MAX: Final = 32
"""How many values of one label are told apart, of each model, say; what is beyond counts as `OTHER`."""
OTHER: Final = "other"
_CHARS_MAX: Final = 120
_USER: Final = re.compile(r"(?<=://)[^/@\s]*@")


@lru_cache(maxsize=4096)
def label(value: str) -> str:
    """A value that any reader of metrics can take: printable, at most 120 characters, without the user and password of a URL.

    >>> label("redis://me:secret@host/0"), label("two\\nlines"), label("\\ud800"), len(label("x" * 500))
    ('redis://host/0', 'two lines', '?', 120)
    """
    text = _USER.sub("", value)
    text = "".join(each if each.isprintable() else " " if each.isspace() else "?" for each in text[:_CHARS_MAX])
    return text.encode("utf-8", "replace").decode("utf-8")


def bounded(counts: Mapping[str, int], first: Iterable[str] = ()) -> dict[str, int]:
    """Counts by label, with what is beyond `VALUES_MAX` names added up as `OTHER`: a name that anybody can make up must not grow
    the metrics without end. Those of `first` are always there.

    >>> bounded({"STALE": 2, "STA\\tLE": 1})
    {'STA LE': 1, 'STALE': 2}
    """
    found = dict.fromkeys(first, 0)
    for name in sorted(counts):
        key = label(name)
        key = key if key in found or len(found) < VALUES_MAX else OTHER
        found[key] = found.get(key, 0) + counts[name]
    return found
