"""Writes python/signal_stream/features/methods/ from the core's table of operators: `make docs`, or `python -m docs.methods`.

A row of the table becomes a method with typed parameters, checks and a docstring: of expressions, of rolling windows, of bars,
trades or books, by what it is made from. A test fails when the files that are committed are not those of the table.
"""

from __future__ import annotations

import json
import keyword
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
METHODS: Final = ROOT / "python" / "signal_stream" / "features" / "methods"
sys.path.insert(0, str(ROOT / "python"))

Row = dict[str, Any]
WIDTH: Final = 108
"""Characters of a line of a docstring."""

FUNCTIONS: Final = ("minimum", "maximum", "where", "coalesce")
"""Formulas that are functions (signal_stream.features.choice): which operand comes first says nothing."""
OTHERWISE: Final = ("ofi",)
"""Functions of a book with arguments that the table does not say (signal_stream.features.streams)."""

FILES: Final = {
    "expression": ("ExpressionMethods", "an expression", 'bars("1m").close', "_made"),
    "rolling": ("RollingMethods", "a rolling window", 'bars("1m").close.rolling(20)', "_made"),
    "ewm": ("EwmMethods", "exponential weights", 'bars("1m").close.ewm(span=26)', "_made"),
    "cross": ("CrossMethods", "a cross-section", 'cross(bars("1d").close)', "_made"),
    "ewm_over_time": ("EwmOverTimeMethods", "weights over time", 'bars("1m").close.ewm(half_life="5m")', "_made"),
    "expanding": ("ExpandingMethods", "all values so far", 'bars("1m").close.expanding()', "_made"),
    "bars": ("BarMethods", "bars", 'bars("1m")', "_made"),
    "trades": ("TradeMethods", "trades", "trades", "_made"),
    "book": ("BookMethods", "the depth stream", "book", "_made"),
    "quoted": ("QuotedMethods", "the best bid and ask", "book", "_made"),
}
"""By file: its class, what the methods are of, how examples begin, and what makes the expression."""

EXAMPLES: Final = {
    "window": "20",
    "q": "2",
    "k": "1",
    "d": "0.4",
    "long": "100",
    "level": "2",
    "quantity": "10.0",
    "bps": "10.0",
    "h": "0.5",
    "omega": "1e-06",
}
"""Values of parameters in examples, where 20 or the default is no good one."""
REALS: Final = {"mu": "0.1", "alpha": "0.1", "beta": "0.8"}
"""The same of numbers between two bounds, where 0.9 is no good one."""
OPERANDS: Final = {
    "lee_ready": ("quotes.mid()",),
    "ellis_michaely_ohara": ("quotes.bid.price", "quotes.ask.price"),
    "kyle_lambda": ("trades.signed_qty()",),
    "weighted_mean": ("bars('1m').volume",),
    "effective_spread": ("quotes.mid()", "trades.side"),
    "realised_spread": ("quotes.mid()", "trades.side"),
    "price_impact": ("trades.side",),
}
"""Other operands of examples, where a number is no good one."""


def file_of(row: Row) -> str | None:
    """The file in which a row has its method; none where it has no method of its own."""
    family, name = row["family"], row["name"]
    if family == "formula":
        own = row["operands"][0] != "x" or name in FUNCTIONS or keyword.iskeyword(name) or row["sign"]
        return None if own else "expression"
    if family == "lag":
        return "expression"
    if family in ("rolling", "rolling of two"):
        return "rolling"
    if family in ("ewm", "ewm over time", "expanding"):
        return family.replace(" ", "_")
    if family == "across instruments":
        return "cross"
    if family == "book":
        # Quotes have one level.
        return None if name in OTHERWISE else "book" if "levels" in row["parameters"] else "quoted"
    if "unit" not in row:
        return None
    return {None: "expression", "quotes": "quoted"}.get(row["of"], row["of"])


def pages() -> dict[str, str]:
    """File name and text of each file, formatted."""
    from signal_stream import _core

    by_file: dict[str, list[Row]] = {name: [] for name in FILES}
    for row in json.loads(_core.operators()):
        place = file_of(row)
        if place is not None:
            by_file[place].append(row)
    return {f"{name}.py": formatted("\n".join(module(name, rows)), f"{name}.py") for name, rows in by_file.items()}


def formatted(text: str, name: str) -> str:
    """As ruff writes it."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(METHODS / name), "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def module(file: str, rows: list[Row]) -> Iterator[str]:
    """A file: the class with its methods."""
    name, what, _, _ = FILES[file]
    takes_operands = any(others(row) for row in rows)
    yield f'"""Operators that are methods of {what}. Made by `make docs` from the core\'s table: change that, not this file."""'
    yield from ("", "from __future__ import annotations", "", "from typing import TYPE_CHECKING", "")
    yield "from signal_stream.features.arguments import Arguments"
    yield "from signal_stream.features.refusal import checked_class"
    yield from ("", "if TYPE_CHECKING:")
    names = "Expression, Scalar" if takes_operands else "Expression"
    yield f"    from signal_stream.features.expression import {names}"
    yield from (
        "",
        "",
        "@checked_class",
        f"class {name}:",
        f'    """What the table has of {what}."""',
        "",
        "    __slots__ = ()",
        "",
    )
    makers = sorted({maker(row) for row in rows})
    if makers:
        yield "    if TYPE_CHECKING:"
        for each in makers:
            yield from ("", f"        def {each}(self, name: str, given: Arguments) -> Expression: ...")
    for row in rows:
        yield from ("", *(f"    {line}" if line else "" for line in method(file, row)))


def maker(row: Row) -> str:
    """What the class has to make a row's expression."""
    return "_of_book" if row["family"] == "book" else "_made"


def name_of(row: Row) -> str:
    """What the method is called: `ewm.mean` is `mean` of exponential weights, `cross.rank` is `rank` of a cross-section."""
    return str(row["name"]).rpartition(".")[2]


def others(row: Row) -> list[str]:
    """Operands beside the one that the method is of."""
    return list(row["operands"][1:]) if row.get("of") is None and row["family"] != "book" else []


def method(file: str, row: Row) -> Iterator[str]:
    """The lines of a method."""
    signature, given, code = ["self"], "Arguments()", []
    for i, operand in enumerate(others(row)):
        signature.append(f"{operand}: Expression | Scalar")
        given += f'.operand("{operand}", {operand})'
        code.append(OPERANDS[row["name"]][i] if row["name"] in OPERANDS else "2.0")
    arguments = row["arguments"]
    for argument in arguments:
        name, default = argument["name"], argument.get("default")
        most = argument.get("most")
        if argument["kind"] == "window":
            signature.append("window: int | str")
            given += f".window(window, cap, {argument['least']})"
            code.append(EXAMPLES["window"])
            continue
        if argument["kind"] == "only":
            signature += ["*", f"{name}: float | None = None"]
            given += f'.only("{name}", {name}, {argument["only"]})'
            continue
        whole = argument["kind"] == "whole"
        shown = "" if default is None else f" = {int(default) if whole else float(default)}"
        if row["family"] in ("rolling", "rolling of two") and whole and default is not None:
            # Not written where it is the usual one: std(ddof=0), but std().
            signature += ["*", f"{name}: int{shown}"]
            given += f'.whole("{name}", {name}, {argument["least"]}, {most}, usual={default})'
            continue
        signature.append(f"{name}: {'int' if whole else 'float'}{shown}")
        if row["family"] == "lag":
            given += f".earlier({name})"
        elif whole:
            given += f'.whole("{name}", {name}, {argument["least"]}, {most})'
        elif argument["kind"] == "real":
            given += f'.real("{name}", {name}, {argument["least"]}, {most})'
        else:
            given += f'.number("{name}", {name}, {argument["above"]}, {most})'
        usual = REALS.get(name, "0.9") if argument["kind"] == "real" else EXAMPLES.get(name, "20")
        value = usual if default is None else str(int(default) if whole else float(default))
        code.append(value if name == "n" and len(code) == len(others(row)) else f"{name}={value}")
    if any(argument["kind"] == "window" for argument in arguments):
        signature += ["*", "cap: int | None = None"] if "*" not in signature else ["cap: int | None = None"]
    yield f"def {name_of(row)}({', '.join(signature)}) -> Expression:"
    yield from (f"    {line}" if line else "" for line in docstring(file, row, ", ".join(code)))
    yield f'    return self.{maker(row)}("{name_of(row)}", {given})'


def docstring(file: str, row: Row, code: str) -> Iterator[str]:
    """Meaning, unit, parameters, warm-up, what becomes of missing values, and an example."""
    meaning = plain(row["meaning"])
    meaning += "" if meaning.endswith(".") else "."
    citation = "" if row["citation"] in ("-", "") else f" ({row['citation']})"
    first, rest = meaning[:-1], ""
    # One sentence in the first line, as tools show it.
    if ". " in meaning:
        first, _, rest = meaning.partition(". ")
    yield from wrapped(f'"""{first}{citation}.')
    if rest:
        yield from ("", *wrapped(rest))
    yield from ("", *wrapped(" ".join(facts(row))))
    receiver = FILES[file][2]
    names = re.findall(r"cross|bars|trades|book", receiver)
    names += [re.split(r"\W", operand)[0] for operand in OPERANDS.get(row["name"], ())]
    imported = ", ".join(sorted(set(names)))
    yield from ("", f">>> from signal_stream import {imported}", f">>> {receiver}.{name_of(row)}({code})")
    shown = receiver.replace('"', "'")
    yield from (f"{shown}.{name_of(row)}({code})", '"""')


def facts(row: Row) -> Iterator[str]:
    """Sentences about a row."""
    if row.get("unit"):
        unit = row["unit"]
        yield f"The result is {unit}." if unit.startswith("a ") else f"The result: {unit}."
    for argument in row["arguments"]:
        name = argument["name"]
        if argument["kind"] == "window":
            yield (
                f"`window` is a count of {argument['least']} valid values or more, or a length of time in which `cap` values "
                "may lie, as of `rolling`."
            )
        elif argument["kind"] == "whole":
            yield f"`{name}` is a whole number from {argument['least']:,} to {argument['most']:,}."
        elif argument["kind"] == "only":
            yield f"`{name}` may be {argument['only']:g}."
        elif argument["kind"] == "real":
            yield f"`{name}` is a number from {argument['least']:g} to {argument['most']:g}."
        else:
            yield f"`{name}` is above {argument['above']:g}, at most {argument['most']:g}."
    if row["warm_up"] != "-" and row["family"] != "across instruments":
        yield f"Warm-up: {row['warm_up']}."
    yield f"Missing values: {plain(row['missing'])}."


def plain(text: str) -> str:
    """A text of the table in one line."""
    return " ".join(text.split())


def wrapped(text: str) -> list[str]:
    """Lines of a docstring."""
    return textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def main() -> None:
    """Writes the files."""
    METHODS.mkdir(exist_ok=True)
    for name, text in pages().items():
        (METHODS / name).write_text(text)
        print(f"{METHODS.relative_to(ROOT)}/{name}  {text.count(chr(10)):,} lines")


if __name__ == "__main__":
    main()
