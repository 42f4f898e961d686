"""A live line on a terminal while something long runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress(text: str) -> Iterator[Callable[..., None]]:
    """A live line on a terminal, silence otherwise. Call it with the messages done, or with a name and the messages."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)

        def tell(*news: Any) -> None:
            bar.update(task, description=f"{text} {news[0]}" if len(news) > 1 else text, completed=news[-1])

        yield tell
