"""The pages under docs/reference are those of the code, and no link of the documentation is dead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs_programs import docs_program

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def test_the_pages_are_those_of_the_code() -> None:
    build = docs_program("build")
    made = build.pages()
    assert made == build.pages(), "two runs differ"
    kept = {page.name: page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md")}
    stale = sorted(name for name in made.keys() | kept.keys() if made.get(name) != kept.get(name))
    assert not stale, f"stale: {', '.join(stale)}. Run `make docs` and commit the pages."


PAGES = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "specs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_is_dead(page: Path) -> None:
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
    dead = [link for link in LINK.findall(text) if not (page.parent / link).exists()]
    assert not dead
