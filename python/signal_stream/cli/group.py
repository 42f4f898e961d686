"""A group of commands whose members stand in several files."""

from __future__ import annotations

import typer


def group(app: typer.Typer, name: str) -> typer.Typer:
    """The group of this name, which an earlier file has added."""
    return next(each.typer_instance for each in app.registered_groups if each.name == name and each.typer_instance)
