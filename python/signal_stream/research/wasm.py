"""A graph as a WASM module: the runtime, with the compiled graph inside. It imports nothing; docs/wasm.md says how it is called.

The runtime is `crates/wasm`, built by `make wasm`. A compiled graph is bytes (`crates/runtime/src/row_plan.rs`); they stand
behind the memory that the runtime declares, and their place and length in its variable `SS_PLAN`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from signal_stream.core_errors import core_error
from signal_stream.errors import EngineError
from signal_stream.features.graph import FeatureGraph
from signal_stream.research.table_options import makes_empty_bars

RUNTIME: Final = Path(__file__).parent.parent / "_runtime.wasm"
_MAGIC: Final = b"\0asm\1\0\0\0"
_PAGE: Final = 1 << 16
_MEMORY, _GLOBAL, _EXPORT, _DATA, _DATA_COUNT = 5, 6, 7, 11, 12


def compile_wasm(graph: FeatureGraph, *, columns: Sequence[str] | None = None) -> bytes:
    """The module of a graph on rows of one stream of one instrument: bars, quotes, trades or a book.

    `columns` names what a row's numbers are, in order ("close", "bid_qty_1", …); without it they are what the graph reads, in the
    order in which it does. A vector has the graph's features, NaN where one is invalid, with its reason code beside it, and the
    bits of `Engine.bind`. GraphError names what a row does not bring about: a clock, other streams, values across instruments,
    functions of the time. EngineError (`NO_RUNTIME`) if the runtime was not built.
    """
    from signal_stream import _core

    try:
        fields = list(graph.plan.row_fields if columns is None else columns)
        layout = _core.TableLayout(graph.plan, fields)
        plan = layout.row_plan(graph.plan, empty_bars=makes_empty_bars(layout.bars_ns, None))
    except _core.CoreError as error:
        raise core_error(error, "graph") from None
    if not RUNTIME.exists():
        raise EngineError(
            "NO_RUNTIME", f"{RUNTIME} is not there",
            next_step="Build it once: make wasm, in a checkout of signal-stream.",
        )  # fmt: skip
    return with_plan(RUNTIME.read_bytes(), plan)


def with_plan(runtime: bytes, plan: bytes) -> bytes:
    """The runtime with a plan's bytes in pages of their own, behind those that it declares."""
    sections = dict(_sections(runtime))
    pages, limits = _memory(sections[_MEMORY])
    at = pages * _PAGE
    needed = -(-len(plan) // _PAGE)
    variable = _address(sections, b"SS_PLAN")
    place = at.to_bytes(4, "little") + len(plan).to_bytes(4, "little")
    segments = _segment(variable, place) + _segment(at, plan)
    count, rest = _number(sections.get(_DATA, b"\0"))
    out = bytearray(_MAGIC)
    for number, content in _sections(runtime):
        if number == _MEMORY:
            content = b"\1" + limits[:1] + _leb(pages + needed) + limits[1:]
        elif number == _DATA:
            content = _leb(count + 2) + rest + segments
        elif number == _DATA_COUNT:
            content = _leb(count + 2)
        out += bytes([number]) + _leb(len(content)) + content
    return bytes(out)


def _sections(module: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each section, in order; those that only tools read are left out."""
    rest = module.removeprefix(_MAGIC)
    while rest:
        number = rest[0]
        size, rest = _number(rest[1:])
        if number:
            yield number, rest[:size]
        rest = rest[size:]


def _memory(content: bytes) -> tuple[int, bytes]:
    """Pages that the module begins with, and its limits without them: the flag and the most, if one is set."""
    flag = content[1:2]
    pages, most = _number(content[2:])
    return pages, flag + most


def _address(sections: dict[int, bytes], name: bytes) -> int:
    """Where a variable lies that the module exports as a global."""
    _, rest = _number(sections[_EXPORT])
    after = rest.split(bytes([len(name)]) + name + b"\3", 1)[1]
    wanted, _ = _number(after)
    count, rest = _number(sections[_GLOBAL])
    for index in range(count):
        value, after = _number(rest[3:], signed=True)  # its type, whether it changes, then `i32.const`
        if index == wanted:
            return value
        rest = after[1:]
    raise AssertionError(f"{name!r} is no global of the runtime")


def _segment(at: int, content: bytes) -> bytes:
    return b"\0\x41" + _leb(at, signed=True) + b"\x0b" + _leb(len(content)) + content


def _leb(value: int, *, signed: bool = False) -> bytes:
    """LEB128, as WASM writes whole numbers, 0 or above."""
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        if value == 0 and not (signed and low & 0x40):
            return bytes([*out, low])
        out.append(low | 0x80)


def _number(content: bytes, *, signed: bool = False) -> tuple[int, bytes]:
    """A number in LEB128, and what follows it."""
    value = 0
    for i, byte in enumerate(content):
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            if signed and byte & 0x40:
                value -= 1 << (7 * (i + 1))
            return value, content[i + 1 :]
    raise AssertionError("the module ends within a number")
