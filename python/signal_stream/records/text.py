"""The one text of plain data."""

from __future__ import annotations

import json


def canonical_json(data: object) -> str:
    """The one text of plain data: keys sorted, no spaces, shortest floats, no NaN; what digests are made of.

    >>> canonical_json({"b": 0.1, "a": [1, None]})
    '{"a":[1,null],"b":0.1}'
    """
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
