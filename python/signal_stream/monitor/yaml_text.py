"""Plain data as YAML: what Prometheus and Alertmanager read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


def yaml_text(plain: dict[str, Any]) -> str:
    """Objects and lists as blocks; every text as JSON writes it, which YAML reads alike, whatever is in it.

    >>> print(yaml_text({"groups": [{"name": "a: b", "rules": [], "for": 1}], "of": {"x": "1s"}}), end="")
    groups:
      - name: "a: b"
        rules: []
        for: 1
    of:
      x: "1s"
    """
    return "".join(f"{line}\n" for line in _block(plain))


def _block(plain: Any) -> Iterator[str]:
    if isinstance(plain, dict):
        for key, value in plain.items():
            if isinstance(value, dict | list) and value:
                yield f"{key}:"
                yield from (f"  {line}" for line in _block(value))
            else:
                yield f"{key}: {_scalar(value)}"
    else:
        for value in plain:
            lines = _block(value) if isinstance(value, dict | list) and value else iter([_scalar(value)])
            yield f"- {next(lines)}"
            yield from (f"  {line}" for line in lines)


def _scalar(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in text)
