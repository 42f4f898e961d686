"""Ways in which a file may come to be damaged."""

from __future__ import annotations

import random

HOW = (
    "empty",
    "noise",
    "removed",
    "quarter",
    "half",
    "without its last byte",
    "first bit",
    "middle bit",
    "last bit",
    "swapped",
)


def damaged(good: bytes, how: str, other: bytes) -> bytes | None:
    """What is left of a file, None if it is gone."""
    size = len(good)
    at = {"first bit": 0, "middle bit": size // 3, "last bit": size - 2}.get(how)
    if at is not None:
        return good[:at] + bytes([good[at] ^ 16]) + good[at + 1 :]
    left = {"empty": 0, "quarter": size // 4, "half": size // 2, "without its last byte": size - 1}
    if how in left:
        return good[: left[how]]
    return {"removed": None, "noise": random.Random(how).randbytes(size), "swapped": other}[how]
