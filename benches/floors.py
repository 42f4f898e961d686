"""The floors in C, compiled for this machine when they are needed."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sysconfig
from importlib.machinery import ExtensionFileLoader
from pathlib import Path
from typing import Any

from benches.folders import NATIVE, out

FLAGS = ("-O3", "-march=native", "-fno-math-errno")


class NoFloor(Exception):
    """There is no C compiler, or it failed: the message says which."""


def graph23() -> Any:
    """The module of `graph23_c.c`: reset(), update(row, out), run(rows, out) -> seconds. Raises NoFloor."""
    include = sysconfig.get_paths()["include"]
    path = _compiled("graph23_c.c", ".so", "-shared", "-fPIC", f"-I{include}", "-lm")
    loader = ExtensionFileLoader("graph23_c", str(path))
    spec = importlib.util.spec_from_file_location("graph23_c", path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def futex() -> Path:
    """The program of `futex_floor.c`. Raises NoFloor."""
    return _compiled("futex_floor.c", "")


def _compiled(source: str, suffix: str, *options: str) -> Path:
    """The source compiled; compiled again only when it, its headers or the options have changed."""
    texts = [path.read_bytes() for path in (NATIVE / source, *sorted(NATIVE.glob("*.h")))]
    digest = hashlib.sha256(b"\0".join([*texts, " ".join((*FLAGS, *options)).encode()])).hexdigest()
    path = out() / f"{Path(source).stem}-{digest[:12]}{suffix}"
    if path.exists():
        return path
    unfinished = path.with_suffix(".unfinished")
    libraries = [option for option in options if option.startswith("-l")]
    others = [option for option in options if not option.startswith("-l")]
    command = ["cc", *FLAGS, *others, "-o", str(unfinished), str(NATIVE / source), *libraries]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise NoFloor("there is no C compiler called cc") from None
    except subprocess.CalledProcessError as error:
        raise NoFloor(f"{source} does not compile: {error.stderr.strip().splitlines()[-1:]}") from None
    unfinished.replace(path)
    return path
