"""One work in this process: its figures as JSON lines."""

from __future__ import annotations

import argparse
import importlib
import json

from benches.works import WORKS


def main() -> None:
    """`python -m benches.works NAME [--quick]`."""
    options = argparse.ArgumentParser(prog="python -m benches.works")
    options.add_argument("name", choices=WORKS)
    options.add_argument("--quick", action="store_true")
    chosen = options.parse_args()
    for figure in importlib.import_module(f"benches.works.{chosen.name}").measure(quick=chosen.quick):
        print(json.dumps(figure.as_plain()), flush=True)


if __name__ == "__main__":
    main()
