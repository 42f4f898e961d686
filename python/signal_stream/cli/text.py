"""People's words and names of files on a terminal: as they were typed, and nothing that a terminal would obey."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text


def plain(text: object) -> str:
    """Text for a terminal: brackets stay what they are, control characters become escapes.

    >>> plain("see [INC-7]\\x1b[2J")
    'see [INC-7]\\\\x1b[2J'
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(text))


def line(*parts: str | tuple[str, str]) -> Text:
    """A line of words, some of them with a style: `line(("killed", "red"), "  by ann")`."""
    from rich.text import Text

    return Text.assemble(
        *((plain(part[0]), part[1]) if isinstance(part, tuple) else plain(part) for part in parts), end="\n"
    )


def terminal(*, stderr: bool = False) -> Console:
    """Where lines are printed in full, however narrow it is. Colours as the terminal, NO_COLOR and TERM allow."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False, stderr=stderr)
