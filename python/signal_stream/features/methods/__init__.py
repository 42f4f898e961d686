"""Methods that come from the core's table of operators. `docs/methods.py` writes the files; a row of the table adds one."""
