"""Instructions on vectors are compiled where they are used. One that is left a function of its own costs a call for every few
numbers: blocks took five times as long, and gave the same bits."""

from __future__ import annotations

import re
import subprocess

from signal_stream import _core


def test_no_instruction_on_vectors_is_a_function_of_its_own() -> None:
    names = subprocess.run(["nm", "-C", _core.__file__], check=True, capture_output=True, text=True).stdout
    assert "signal_runtime::step::Step" in names, "the core has its names"
    assert re.findall(r"core_arch::x86::(?:sse2|avx2?)::\w+", names) == []
