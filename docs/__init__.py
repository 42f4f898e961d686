"""Pages for readers; `python -m docs.build` makes those under reference/ from the code."""
