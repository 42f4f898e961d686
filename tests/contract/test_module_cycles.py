"""No two files of a crate need each other: a reader begins at the bottom and never has to jump ahead.

A file in a folder may use what stands at the folder's head (`super::…`); that is one room, not a circle.
"""

from __future__ import annotations

import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CRATES = sorted(path.parent.name for path in ROOT.glob("crates/*/Cargo.toml"))
# Circles that still stand, as edges that would have to go. It only gets shorter.
ALLOWED: dict[str, set[tuple[str, str]]] = {
    "event": {
        ("batch", "check"),
        ("error", "schema"),
        ("instruments", "batch"),
        ("message", "batch"),
    },
    "py": {("row", "vectors")},
}

Module = tuple[str, ...]


def modules(crate: str) -> dict[Module, str]:
    """Text of each module without comments and without its tests."""
    source = ROOT / "crates" / crate / "src"
    found = {}
    for path in source.rglob("*.rs"):
        parts = path.relative_to(source).with_suffix("").parts
        name = parts[:-1] if parts[-1] == "mod" else parts
        if name[-1:] != ("tests",) and path.stem != "tests":
            text = re.sub(r"//[^\n]*", "", path.read_text())
            text = re.sub(r"#\[cfg\(test\)\]\s*mod \w+ \{.*\Z", "", text, flags=re.DOTALL)
            found[() if name == ("lib",) else name] = text
    return found


def used_paths(tree: str) -> list[str]:
    """`a::{b, c::d}` as `a::b` and `a::c::d`."""
    tree = tree.strip()
    if not tree.endswith("}"):
        return [re.sub(r"\s+as\s+\w+$", "", tree)]
    head, _, inner = tree.partition("{")
    parts, depth = [""], 0
    for sign in inner[:-1]:
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += sign
    return [head + path for part in parts if part.strip() for path in used_paths(part)]


def walk(base: Module, path: list[str], known: dict[Module, str]) -> tuple[Module, list[str]]:
    """The module that a path leads to, and what is named in it."""
    while path and (*base, path[0]) in known:
        base, path = (*base, path[0]), path[1:]
    return base, path


def uses(crate: str) -> dict[Module, set[Module]]:
    """Which modules of its crate each module uses, by `use` and by full paths; names of the root by where they are defined."""
    known = modules(crate)
    shown = {}
    for tree in re.findall(r"\bpub(?:\([^)]*\))? use ([^;]+);", known[()]):
        for path in used_paths(tree):
            steps = [step.strip() for step in path.split("::") if step.strip() != "crate"]
            home, rest = walk((), steps, known)
            shown.update({rest[-1]: home} if rest else {})
    graph = {}
    for module, text in known.items():
        trees = re.findall(r"\buse\s+([^;]+);", text)
        paths = [path for tree in trees for path in used_paths(tree)]
        rest_of_text = re.sub(r"\buse\s+[^;]+;", "", text)
        paths += re.findall(r"\b(?:crate|super)(?:::\w+)+", rest_of_text)
        own = set(re.findall(r"^\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)\s*;", text, re.MULTILINE))
        graph[module] = set()
        for path in paths:
            steps = [step.strip() for step in path.split("::")]
            base = module
            if steps[0] == "crate":
                base, steps = (), steps[1:]
            elif steps[0] == "super":
                while steps and steps[0] == "super":
                    base, steps = base[:-1], steps[1:]
            elif steps[0] == "self":
                steps = steps[1:]
            elif steps[0] not in own:
                continue
            target, steps = walk(base, steps, known)
            if target == () and steps:
                target = shown.get(steps[0], ())
            if module and module[: len(target)] != target:
                graph[module].add(target)
    return graph


def circle(graph: dict[Module, set[Module]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["::".join(module) for module in reversed(error.args[1])]
    return []


def module(name: str) -> Module:
    return tuple(name.split("::"))


@pytest.mark.parametrize("crate", CRATES)
def test_files_of_a_crate_use_each_other_one_way(crate: str) -> None:
    graph = uses(crate)
    for one, other in ALLOWED.get(crate, set()):
        graph[module(one)] -= {module(other)}
    assert circle(graph) == [], "these files need each other: move what they share to a file below both"


@pytest.mark.parametrize(
    ("crate", "one", "other"), [(crate, *edge) for crate, edges in ALLOWED.items() for edge in sorted(edges)]
)
def test_what_is_allowed_is_still_needed(crate: str, one: str, other: str) -> None:
    graph = uses(crate)
    for name, target in ALLOWED[crate] - {(one, other)}:
        graph[module(name)] -= {module(target)}
    assert circle(graph) != [], f"{one} may use {other} no more, or makes no circle: take it from the list"
